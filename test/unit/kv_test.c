/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kv's protocol: each conversation is held whole, cut at every place, and with hardly any room for the replies; the answers are the
 * same. Errors are memcached's, and what follows them is understood.
 */
#include "apps/kv/kv.h"
#include "test/unit/conn_fake.h"
#include "test/unit/tap.h"

#define ANSWER	"VERSION " EXO_VERSION "\r\n"

void *store_memory(size_t bytes, bool large, bool *kept)
{
	*kept = large;
	return malloc(bytes);
}

/* Say these bytes; the answers are in faked.out. Everything that was there before is forgotten. */
static bool talk(const char *in, size_t bytes, size_t piece, size_t room)
{
	bool good;

	faked.out_len = 0;
	faked.room = SIZE_MAX;
	fake_open(&kv_calls);
	store_now += 1;
	store_flush(store_now);
	faked.room = room;
	good = fake_feed(in, bytes, piece, room);
	fake_close();
	faked.room = SIZE_MAX;
	return good;
}

/* The reply must be this, however the bytes come and go. A '#' in `wanted` stands for any number. */
static bool matches(const char *got, size_t len, const char *wanted)
{
	const char *end = got + len;

	for (; *wanted; wanted++) {
		if (*wanted == '#') {
			while (got < end && *got >= '0' && *got <= '9')
				got++;
			continue;
		}
		if (got == end || *got++ != *wanted)
			return false;
	}
	return got == end;
}

static void says(const char *name, const char *in, const char *wanted)
{
	static const size_t rooms[] = { SIZE_MAX, 1, 7 };
	size_t len = strlen(in);

	for (size_t r = 0; r < 3; r++) {
		for (size_t piece = 1; piece <= len; piece += piece < 40 ? 1 : 97) {
			if (talk(in, len, piece, rooms[r]) && matches(faked.out, faked.out_len, wanted))
				continue;
			ok(false, "%s, in pieces of %zu, room %zd", name, piece, (ssize_t)rooms[r]);
			printf("# got %.*s\n", (int)faked.out_len, faked.out);
			return;
		}
	}
	ok(true, "%s", name);
}

static void test_storing(void)
{
	says("set and get", "set a 5 0 3\r\nabc\r\nget a\r\n", "STORED\r\nVALUE a 5 3\r\nabc\r\nEND\r\n");
	says("many keys", "set a 0 0 1\r\nx\r\nset b 1 0 0\r\n\r\nget a nowhere b\r\nget  b  a \r\n",
	     "STORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nVALUE b 1 0\r\n\r\nEND\r\n"
	     "VALUE b 1 0\r\n\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
	says("a bare line feed", "set a 0 0 1\nx\r\nget a\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
	says("add and replace", "replace a 0 0 1\r\nx\r\nadd a 0 0 1\r\ny\r\nadd a 0 0 1\r\nz\r\nreplace a 1 0 1\r\nw\r\n"
	     "get a\r\n", "NOT_STORED\r\nSTORED\r\nNOT_STORED\r\nSTORED\r\nVALUE a 1 1\r\nw\r\nEND\r\n");
	says("append and prepend", "append a 0 0 1\r\nx\r\nset a 7 0 2\r\nbc\r\nappend a 1 0 2\r\nde\r\nprepend a 2 0 1\r\na\r\n"
	     "get a\r\n", "NOT_STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\nVALUE a 7 5\r\nabcde\r\nEND\r\n");
	says("cas", "cas a 0 0 1 1\r\nx\r\nset a 0 0 1\r\nx\r\ncas a 0 0 1 999999999\r\ny\r\ngets a\r\n",
	     "NOT_FOUND\r\nSTORED\r\nEXISTS\r\nVALUE a 0 1 #\r\nx\r\nEND\r\n");
	says("noreply", "set a 0 0 1 noreply\r\nx\r\nadd a 0 0 1 noreply\r\ny\r\nincr a 1 noreply\r\ndelete b noreply\r\n"
	     "touch a 0 noreply\r\nget a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
	says("delete", "set a 0 0 1\r\nx\r\ndelete a\r\ndelete a\r\nget a\r\n", "STORED\r\nDELETED\r\nNOT_FOUND\r\nEND\r\n");
	says("delete with a time", "delete a 0\r\ndelete a 5\r\n",
	     "NOT_FOUND\r\nCLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n");
}

static void test_numbers(void)
{
	says("incr and decr", "incr a 1\r\nset a 0 0 2\r\n10\r\nincr a 5\r\nincr a 85\r\ndecr a 95\r\ndecr a 99\r\nget a\r\n",
	     "NOT_FOUND\r\nSTORED\r\n15\r\n100\r\n5\r\n0\r\nVALUE a 0 1\r\n0\r\nEND\r\n");
	says("incr wraps", "set a 0 0 20\r\n18446744073709551615\r\nincr a 1\r\n", "STORED\r\n0\r\n");
	says("no number", "set a 0 0 1\r\nx\r\nincr a 1\r\nincr a x\r\nincr a -1\r\nset b 0 0 0\r\n\r\nincr b 1\r\n",
	     "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
	     "CLIENT_ERROR invalid numeric delta argument\r\nCLIENT_ERROR invalid numeric delta argument\r\n"
	     "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	says("touch and gat", "touch a 5\r\nset a 0 0 1\r\nx\r\ntouch a 100\r\ngat 100 a b\r\ngats 0 a\r\ntouch a x\r\ngat x a\r\n",
	     "NOT_FOUND\r\nSTORED\r\nTOUCHED\r\nVALUE a 0 1\r\nx\r\nEND\r\nVALUE a 0 1 #\r\nx\r\nEND\r\n"
	     "CLIENT_ERROR invalid exptime argument\r\nCLIENT_ERROR invalid exptime argument\r\n");
	says("at once gone", "set a 0 -1 1\r\nx\r\nget a\r\nset b 0 1 1\r\ny\r\nget b\r\nset c 0 2592001 1\r\nz\r\nget c\r\n",
	     "STORED\r\nEND\r\nSTORED\r\nVALUE b 0 1\r\ny\r\nEND\r\nSTORED\r\nEND\r\n");
	says("flush_all", "set a 0 0 1\r\nx\r\nflush_all\r\nget a\r\nset a 0 0 1\r\ny\r\nflush_all 100\r\nget a\r\nflush_all noreply\r\n"
	     "get a\r\n", "STORED\r\nOK\r\nEND\r\nSTORED\r\nOK\r\nVALUE a 0 1\r\ny\r\nEND\r\nEND\r\n");
}

static void test_errors(void)
{
	char line[3000];

	says("unknown commands", "nonsense\r\n\r\nget\r\nget \r\nset a 0 0\r\nincr a\r\ndelete\r\ntouch a\r\nset a b c d e f g h i j k\r\n",
	     "ERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\n");
	says("a value that is longer than it should be", "set a 0 0 3\r\nabcdef\r\nget a\r\n", "CLIENT_ERROR bad data chunk\r\nEND\r\n");
	says("one with half a line end takes the next line with it", "set a 0 0 1\r\nx\nget b\r\nget a\r\n",
	     "CLIENT_ERROR bad data chunk\r\nEND\r\n");
	says("bad flags, and the value goes by", "set a x 0 3\r\nget\r\nset a 4294967296 0 1\r\nx\r\nset a 0 y 1\r\nx\r\nget a\r\n",
	     "CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\n"
	     "CLIENT_ERROR bad command line format\r\nEND\r\n");
	says("bad lengths", "set a 0 0 -1\r\nset a 0 0 x\r\nset a 0 0 99999999999\r\n", "CLIENT_ERROR bad data chunk\r\n"
	     "CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad data chunk\r\n");
	snprintf(line, sizeof(line), "set %0250d 0 0 1\r\nx\r\nget %0250d\r\nget %0251d\r\nset %0251d 0 0 3\r\nget\r\ndelete %0251d\r\n",
		 1, 1, 1, 1, 1);
	talk(line, strlen(line), 9999, SIZE_MAX);
	ok(!memcmp(faked.out, "STORED\r\nVALUE 000", 17), "a key of 250 bytes");
	ok(faked.out_len > 114 && !memcmp(faked.out + faked.out_len - 119, "END\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad "
	   "command line format\r\nCLIENT_ERROR bad command line format\r\n", 119), "and one of 251, thrice");
	says("version, verbosity, quit", "version\r\nverbosity 1\r\nverbosity\r\nquit\r\nversion\r\n",
	     ANSWER "OK\r\nERROR\r\n");
	says("stats of what is not", "stats nonsense\r\nstats settings\r\nstats items\r\nstats reset\r\n",
	     "ERROR\r\nSTAT maxbytes #\r\nSTAT maxconns #\r\nSTAT item_size_max #\r\nSTAT evictions on\r\nSTAT cas_enabled yes\r\nEND\r\n"
	     "END\r\nRESET\r\n");
}

static void test_long(void)
{
	static const char end[] = "END\r\nSERVER_ERROR object too large for cache\r\n" ANSWER;
	size_t bytes = VALUE_MAX, line = 3 * LINE_MAX_BYTES;
	char *in = malloc(2 * bytes + 4096), *p = in;

	p += sprintf(p, "set large 1 0 %zu\r\n", bytes);
	for (size_t i = 0; i < bytes; i++)
		*p++ = (char)(i * 2654435761u >> 13);
	p += sprintf(p, "\r\nget large none large\r\nset more 0 0 %zu\r\n", bytes + 1);
	memset(p, '\n', bytes + 1);
	p += bytes + 1;
	p += sprintf(p, "\r\nversion\r\n");
	for (size_t room = 5000; room < 4000000; room *= 20) {
		size_t head = strlen("VALUE large 1 1048576\r\n"), at = 8;

		talk(in, (size_t)(p - in), 5000, room);
		is_int((long long)faked.out_len, (long long)(8 + 2 * (head + bytes + 2) + 5 + 41 + sizeof(ANSWER) - 1), "the length of the reply");
		ok(!memcmp(faked.out + at + head, strchr(in, '\n') + 1, bytes) &&
		   !memcmp(faked.out + at + head + bytes + 2 + head, strchr(in, '\n') + 1, bytes), "a large value, twice");
		ok(!memcmp(faked.out + faked.out_len - sizeof(end) + 1, end, sizeof(end) - 1),
		   "and one that is too large");
	}
	memset(in, 'x', line);
	strcpy(in + line, "\r\nversion\r\n");
	talk(in, line + 11, 777, SIZE_MAX);
	is_text(faked.out, faked.out_len, "CLIENT_ERROR line too long\r\n" ANSWER, "a line that is too long");
	p = in;
	p += sprintf(p, "get");
	for (int i = 0; i < 1000; i++)
		p += sprintf(p, " key%d", i % 10);
	sprintf(p, "\r\nget end\r\n");
	talk(in, strlen(in), 500, SIZE_MAX);
	is_text(faked.out, faked.out_len, "END\r\nEND\r\n", "a thousand keys");
	free(in);
}

/* The answer, some seconds later, of a client that stays. */
static void later(unsigned seconds, const char *in, const char *wanted)
{
	faked.now += 1000 * seconds;
	faked.out_len = 0;
	fake_feed(in, strlen(in), 99, SIZE_MAX);
	ok(faked.out_len == strlen(wanted) && !memcmp(faked.out, wanted, faked.out_len), "%u seconds later: %.*s", seconds,
	   (int)strcspn(in, "\r"), in);
}

static void test_time(void)
{
	fake_open(&kv_calls);
	later(0, "set a 0 10 1\r\nx\r\n", "STORED\r\n");
	later(9, "get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
	later(1, "get a\r\n", "END\r\n");
	later(0, "set a 0 10 1\r\nx\r\ntouch a 20\r\n", "STORED\r\nTOUCHED\r\n");
	later(19, "get a\r\nflush_all 5\r\n", "VALUE a 0 1\r\nx\r\nEND\r\nOK\r\n");
	later(0, "set a 0 0 1\r\ny\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\ny\r\nEND\r\n");
	later(5, "get a\r\nset a 0 0 1\r\nz\r\nget a\r\n", "END\r\nSTORED\r\nVALUE a 0 1\r\nz\r\nEND\r\n");
	ok(kv_counts.get_hits > 0 && kv_counts.get_misses > 0, "hits and misses are counted");
	fake_close();
}

int main(void)
{
	store_start(4 << 20);
	test_storing();
	test_numbers();
	test_errors();
	test_long();
	test_time();
	is_int((long long)kv_counts.connections, 0, "no connection is left");
	free(faked.out);
	return done();
}
