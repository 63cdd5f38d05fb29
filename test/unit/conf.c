/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of apps/init/conf: the language, each mistake with its place and its mend, and splitting
 * arguments.
 */
#include <stdlib.h>
#include <exo/flow.h>

#include "apps/init/conf.h"
#include "libos/core/nearest.h"
#include "test/unit/tap.h"

static struct conf c;
static struct conf_error error;
static char *buffer;

/* Read from a buffer of the exact size, so that the address sanitizer sees a read outside. */
static int read_bytes(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	int result;

	free(buffer);
	buffer = malloc(len + 1);
	memcpy(copy, text, len);
	result = conf_read(&c, copy, len, buffer, len + 1, &error);
	free(copy);
	return result;
}

static int read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void test_good(void)
{
	const struct conf_program *p;
	struct exo_claim claim;

	is_int(read_text("# Two servers\r\n"
			 "[machine]\n"
			 "memory = 64M   # enough\n"
			 "cpus=2\n"
			 "machine = q35\n"
			 "cpu = qemu64,+x\n"
			 "publish = 8080:80\n"
			 "publish = 127.0.0.1:0:53/udp\n"
			 "timeout = 1.5m\n"
			 "randomize = no\n"
			 "\n"
			 "  [ program  web-1 ]  \n"
			 "image = ../build/httpd\n"
			 "args = --port 80 \"/my files\" a#b 'it''s # here' # comment\n"
			 "memory = 8192K\n"
			 "slices = 12\n"
			 "cpu = 3\n"
			 "guarantee = 4M\n"
			 "guarantee_slices = 2\n"
			 "limit_slices = 12\n"
			 "limit_envs = 5\n"
			 "limit_flows = 6\n"
			 "limit_rings = 1000\n"
			 "limit_shapes = 7\n"
			 "limit_traces = 8\n"
			 "budget = 200000\n"
			 "end_children = yes\n"
			 "answer = 0.05\n"
			 "demand = two\n"
			 "randomize = yes\n"
			 "seal = yes\n"
			 "show_addresses = yes\n"
			 "serve = clock\n"
			 "extent = data read-only\n"
			 "extent = 0FC63DAF-8483-4772-8E79-3D69D8477DE4 as raw\n"
			 "mount = /data ext2 extent:data ro,acl\n"
			 "mount = /tmp memory\n"
			 "mount = /logs cofs extent:logs ro\n"
			 "disk_shares = 12\n"
			 "use = clock\n"
			 "net = own\n"
			 "port = tcp/80\n"
			 "port = udp/80\n"
			 "claim = 12:2=0x800  20:2&0x3fff!=0 @14&15<<2+16:2=80\n"
			 "claim = all\n"
			 "files = /www\n"
			 "volume = /home/me/a:b:/www\n"
			 "[program two]\n"
			 "main = yes\n"
			 "libos = posix\n"
			 "args =\n"
			 "memory = 3"), 0, "a configuration with everything");
	is_int((long long)c.machine.memory, 64 << 20, "memory");
	ok(c.machine.cpus == 2 && !strcmp(c.machine.machine, "q35") && !strcmp(c.machine.cpu, "qemu64,+x"),
	   "machine");
	is_int((long long)c.machine.timeout_ms, 90000, "timeout");
	is_int(c.machine.publish_count, 2, "published ports");
	ok(!c.machine.publish[0].address && c.machine.publish[0].host == 8080 &&
		   c.machine.publish[0].guest == 80 && !c.machine.publish[0].udp,
	   "without an address");
	ok(!strcmp(c.machine.publish[1].address, "127.0.0.1") && !c.machine.publish[1].host &&
		   c.machine.publish[1].udp,
	   "with one");
	is_int(c.count, 2, "two programs");
	is_int(c.main, 1, "the marked one is main");
	p = &c.program[0];
	ok(!strcmp(p->name, "web-1") && !strcmp(p->image, "../build/httpd") && !strcmp(p->libos, "uni"),
	   "names");
	is_string(p->args, "--port 80 \"/my files\" a#b 'it''s # here'",
		  "arguments, still quoted, without the comment");
	ok(p->memory == 8 << 20 && p->slices == 12 && p->net == CONF_NET_OWN && p->line == 12, "numbers");
	ok(p->cpu == 3 && p->guarantee == 4 << 20 && p->guarantee_slices == 2 && p->limit_slices == 12 &&
	   p->limit_envs == 5 && p->limit_flows == 6 && p->limit_rings == 1000 && p->answer_ms == 50, "shares");
	ok(p->limit_shapes == 7 && p->limit_traces == 8 && p->budget == 200000 && p->end_children, "and more of them");
	ok(p->demand_count == 1 && !strcmp(p->demand[0], "two") && p->randomize && p->seal && p->show_addresses,
	   "demand, randomisation");
	ok(p->extent_count == 3 && p->extent[0].read_only && !p->extent[1].read_only && !strcmp(p->extent[1].name, "raw") &&
	   !strcmp(p->extent[2].label, "logs") && p->extent[2].read_only, "extents, and that of a mount");
	ok(p->mount_count == 3 && !strcmp(p->mount[0].path, "/data") && !strcmp(p->mount[0].options, "ro,acl") &&
	   !p->mount[1].extent && !strcmp(p->mount[2].extent, "logs") && p->disk_shares == 12, "mounts");
	ok(p->serve_count == 1 && !strcmp(p->serve[0], "clock") && p->use_count == 1 && !strcmp(p->use[0], "clock"), "labels");
	ok(p->port_count == 2 && p->port[0].number == 80 && !p->port[0].udp && p->port[1].udp, "ports");
	ok(p->claim_count == 2 && conf_claim(p->claim[1], NULL, NULL) == 0, "claims");
	ok(conf_claim(p->claim[0], &claim, NULL) == 3 && claim.terms == 3 && claim.term[0].value == 0x800 &&
	   claim.term[1].mask == 0x3fff && claim.term[1].flags == EXO_TERM_NOT && claim.term[2].offset == 16 &&
	   claim.term[2].rel_offset == 14 && claim.term[2].rel_mask == 15 && claim.term[2].rel_shift == 2 &&
	   claim.term[2].mask == 0xffff && claim.term[2].value == 80, "with terms");
	ok(!strcmp(p->volume[0].host, "/home/me/a:b") && !strcmp(p->volume[0].guest, "/www"), "volume");
	p = &c.program[1];
	ok(!strcmp(p->image, "two") && !strcmp(p->libos, "posix") && !*p->args && !strcmp(p->files, "/") &&
	   p->net == CONF_NET_NONE && p->memory == 3 << 20, "defaults");
	ok(!p->cpu && !p->guarantee && !p->demand_count && !p->answer_ms && !p->randomize && !p->seal && c.machine.fixed,
	   "and the machine's randomize");
	ok(!read_text("[program a]\n") && c.program[0].randomize, "which is yes");
}

static void wrong(const char *text, unsigned line, unsigned column, const char *says)
{
	int result = read_text(text);

	ok(result == -1 && error.line == line && error.column == column && strstr(error.text, says),
	   "%u:%u: %s", error.line, error.column, result ? error.text : "(accepted)");
}

#define P	"[program a]\n"
#define M	"[machine]\n"

static void test_section_errors(void)
{
	wrong("", 1, 1, "no program");
	wrong("# only\n[machine]\n", 2, 1, "no program");
	wrong("[program a", 1, 1, "closing ]");
	wrong("[]", 1, 2, "unknown section");
	wrong("[", 1, 1, "closing ]");
	wrong("\n [progam a]", 2, 3, "nearest known one is program");
	wrong("[Machine]", 1, 2, "nearest known one is machine");
	wrong("[machine x]", 1, 10, "no name");
	wrong(M M, 2, 2, "first in line 1");
	wrong(P P, 2, 10, "program a stands twice (first in line 1)");
	wrong("[program]", 1, 9, "needs one name");
	wrong("[program a b]", 1, 10, "needs one name");
	wrong("[program a/b]", 1, 10, "needs one name");
	wrong("[program .a]", 1, 10, "needs one name");
	wrong("a = b", 1, 1, "before any section");
}

static void test_key_errors(void)
{
	wrong(P "word", 2, 1, "'word' is not KEY = VALUE");
	wrong(P "imgae = x", 2, 1, "unknown key imgae; the nearest known one is image");
	wrong(P "sliecs = 3", 2, 1, "slices");
	wrong(M "memroy = 3", 2, 1, "memory");
	wrong(M "image = 3", 2, 1, "unknown key image");
	wrong(P "= 3", 2, 1, "unknown key");
	wrong(P "memory = 1\nmemory = 2", 3, 1, "key memory stands twice");
	wrong(P "image =   ", 2, 8, "key image has no value");
	wrong(P "  memory =  8X", 2, 13, "'8X' is not a size");
	wrong(P "memory = 0", 2, 10, "not a size");
	wrong(P "memory = 99999999999999999999", 2, 10, "not a size");
	wrong(P "memory = 17179869184G", 2, 10, "not a size");
	wrong(P "memory = -1", 2, 10, "not a size");
	wrong(P "slices = 0", 2, 10, "from 1 to 4096");
	wrong(P "slices = 4097", 2, 10, "from 1 to 4096");
	wrong(P "cpu = 16", 2, 7, "from 0 to 15");
	wrong(P "cpu = a", 2, 7, "from 0 to 15");
	wrong(P "cpus = 2", 2, 1, "nearest known one is cpu");
	wrong(P "gaurantee = 2", 2, 1, "nearest known one is guarantee");
	wrong(P "limit_env = 2", 2, 1, "nearest known one is limit_envs");
	wrong(P "limit_envs = 1000001", 2, 14, "from 1 to 1000000");
	wrong(P "guarantee = x", 2, 13, "not a size");
	wrong(P "guarantee_slices = 0", 2, 20, "from 1 to 4096");
	wrong(P "answer = 0", 2, 10, "time span");
	wrong(P "demand = abcdefgh", 2, 10, "may have 7 letters");
	wrong(P "serve = a/b", 2, 9, "not a label");
	wrong(P "extent = a/b", 2, 10, "not a label");
	wrong(P "extent = a read-onyl", 2, 12, "nearest known one is read-only");
	wrong(P "extent = a as", 2, 12, "a name is missing");
	wrong(P "extent = sixteen-letters.", 2, 10, "write extent = sixteen-letters. as NAME");
	wrong(P "extent = a as console", 2, 15, "name of another capability; write extent = a as NAME");
	wrong(P "extent = a\nextent = a as b", 3, 10, "extent a stands twice (first in line 2)");
	wrong(P "mount = /x ext3 extent:a", 2, 12, "nearest known one is ext2");
	wrong(P "mount = /x cofs", 2, 12, "cofs needs an extent");
	wrong(P "mount = x ext2 extent:a", 2, 9, "does not begin with a slash");
	wrong(P "mount = /x", 2, 9, "is not /PATH KIND");
	wrong(P "mount = /x memory\nmount = /x memory", 3, 9, "mount /x stands twice");
	wrong(P "disk = hole", 2, 8, "nearest known one is whole");
	wrong(P "disk_shares = 65", 2, 15, "from 1 to 64");
	wrong(P "use = abcdefghijklmnopqrstuvwxyz123456", 2, 7, "at most 31");
	wrong(P "randomize = maybe", 2, 13, "neither yes nor no");
	wrong(M "randomise = no", 2, 1, "nearest known one is randomize");
	wrong(P "net = onw", 2, 7, "nearest known one is own");
	wrong(P "main = y", 2, 8, "'y' is neither yes nor no");
	wrong(P "claim = 12:3=1", 2, 9, "not a term");
	wrong(P "claim = 12:2=1 23:1=256", 2, 16, "not a term");
	wrong(P "claim = 12:2=1 12:2=2", 2, 16, "not a term");
	wrong(P "port = 80", 2, 8, "PROTOCOL/PORT");
	wrong(P "port = tpc/80", 2, 8, "nearest known one is tcp");
	wrong(P "port = tcp/65536", 2, 8, "port from 1 to 65535");
	wrong(P "port = tcp/0", 2, 8, "port from 1 to 65535");
	wrong(P "port = tcp/", 2, 8, "port from 1 to 65535");
	wrong(P "files = www", 2, 9, "begin with a slash");
	wrong(P "files = /a/../b", 2, 9, "has .. in it");
	wrong(P "files = /a/..", 2, 9, "has .. in it");
	wrong(P "volume = /x", 2, 10, "HOSTDIR:/GUESTPATH");
	wrong(P "volume = /x:y", 2, 13, "begin with a slash");
	wrong(P "libos = a b", 2, 9, "not a libOS");
	wrong(P "image = a/", 2, 9, "is a directory");
	wrong(P "args = a 'b c", 2, 10, "quote is not closed");
	wrong(M "machine = q53", 2, 11, "nearest known one is q35");
	wrong(M "cpus = 17", 2, 8, "from 1 to 16");
	wrong(M "publish = 80", 2, 11, "[ADDRESS:]HOST:GUEST");
	wrong(M "publish = :80", 2, 11, "[ADDRESS:]HOST:GUEST");
	wrong(M "publish = 1:2:x", 2, 11, "port from 1 to 65535");
	wrong(M "publish = x:2", 2, 11, "port from 1 to 65535");
	wrong(M "publish = 1:2/icmp", 2, 15, "unknown protocol");
	wrong(M "timeout = 0", 2, 11, "time span");
	wrong(M "timeout = 1.", 2, 11, "time span");
	wrong(M "timeout = 1d", 2, 11, "time span");
	wrong(P "image = a\001b", 2, 10, "control character");
}

static void test_whole_errors(void)
{
	char many[2000] = "";

	wrong(P "net = own\n[program b]\nnet = own", 4, 7, "first in line 2");
	wrong(P "main = yes\n[program b]\nmain = yes", 4, 8, "first in line 2");
	wrong(P "net = own\nport = tcp/80\n[program b]\nport = tcp/80", 5, 8, "belongs already to program a");
	wrong(P "net = own\nport = tcp/80/1of2\n[program b]\nport = tcp/80/3of4", 5, 8, "belongs already to program a");
	wrong(P "net = own\nport = tcp/80/1of2\n[program b]\nport = tcp/80", 5, 8, "belongs already to program a");
	wrong(P "net = own\nport = tcp/80/3of2", 3, 8, "a part of a port");
	wrong(P "net = own\nport = tcp/80/1of3", 3, 8, "a part of a port");
	wrong(P "net = own\nport = tcp/80/1of2x", 3, 8, "a part of a port");
	wrong("\n" P "port = tcp/80", 2, 1, "needs net");
	wrong(P "memory = 2M\nguarantee = 3M", 1, 1, "program a is guaranteed more than its memory");
	wrong(P "slices = 4\nlimit_slices = 3", 1, 1, "more slices than its limit_slices");
	wrong(P "limit_slices = 3\nguarantee_slices = 4", 1, 1, "more slices than its limit_slices");
	wrong(P "demand = a", 2, 1, "there is no other program");
	wrong(P "demand = a\n[program b]", 2, 1, "no other program is called a; the nearest known one is b");
	wrong(P "demand = webs\n[program web]\n[program net]", 2, 1, "nearest known one is web");
	wrong(P "demand = b\ndemand = b\n[program b]", 3, 1, "demand = b stands twice");
	wrong(P "serve = x\nserve = y\n[program b]\nserve = y", 5, 9, "belongs already to program a");
	wrong(P "extent = x shared\n[program b]\nextent = x", 4, 1, "is program a's already; both must say read-only, or both shared");
	wrong(P "extent = x read-only\n[program b]\nmount = /x ext2 extent:x", 4, 1, "is program a's already");
	wrong(P "disk_shares = 2", 1, 1, "no extent");
	wrong(P "mount = /x ext2 extent:sixteen-letters.", 2, 1, "write extent = sixteen-letters. as NAME");
	wrong(P "serve = x\nserve = x", 3, 9, "belongs already to program a");
	wrong(P "use = x", 2, 1, "no program has a key serve");
	wrong(P "use = x\nuse = clok\n[program b]\nserve = x\nserve = clock", 3, 1, "nearest known one is clock");
	wrong(P "serve = a\nserve = b\nserve = c\nserve = d\nserve = e", 6, 9, "too many labels");
	for (int i = 0; i < 17; i++)
		sprintf(many + strlen(many), "[program p%d]\n", i);
	wrong(many, 17, 10, "too many programs");
	strcpy(many, P);
	for (int i = 0; i < 17; i++)
		sprintf(many + strlen(many), "port = tcp/%d\n", i + 1);
	wrong(many, 18, 8, "too many ports");
	strcpy(many, P);
	for (int i = 0; i < 9; i++)
		sprintf(many + strlen(many), "demand = p%d\n", i);
	wrong(many, 10, 10, "too many programs to demand from");
	ok(conf_read(&c, P, strlen(P), buffer, strlen(P), &error) == -1 && strstr(error.text, "too long"),
	   "a buffer that is too small by one byte");
	ok(read_bytes("[program a]\n\0\n", 14) == -1 && error.line == 2, "a NUL in the text");
	memset(many, 'k', 1990);
	memcpy(many, P, strlen(P));
	wrong(many, 2, 1, "'kkk");
	memset(many + 1500, '=', 1);
	wrong(many, 2, 1, "unknown key kkk");
}

static void splits(const char *text, int count, const char *joined)
{
	char copy[200], got[200] = "", *argv[8];
	unsigned column;
	int n;

	strcpy(copy, text);
	n = conf_split(copy, NULL, 8, &column);
	ok(n == count && !strcmp(copy, text), "counted without a change: %s", text);
	n = conf_split(copy, argv, 8, &column);
	for (int i = 0; i < n; i++) {
		strcat(got, argv[i]);
		strcat(got, "|");
	}
	ok(n == count && !strcmp(got, joined), "%s", got);
}

static void test_split(void)
{
	char copy[64];
	unsigned column = 99;

	splits("", 0, "");
	splits("  \t ", 0, "");
	splits("a", 1, "a|");
	splits("  a  bc ", 2, "a|bc|");
	splits("'a b' \"c d\"", 2, "a b|c d|");
	splits("a'b'\"c\"d", 1, "abcd|");
	splits("'' a \"\"", 3, "|a||");
	splits("a\\ b \\\\ \\'", 3, "a b|\\|'|");
	splits("\"a\\\"b\\\\c\\d\"", 1, "a\"b\\c\\d|");
	splits("'a\\' b", 2, "a\\|b|");
	splits("'it'\"'\"'s'", 1, "it's|");
	splits("end\\", 1, "end\\|");
	splits("1 2 3 4 5 6 7 8", 8, "1|2|3|4|5|6|7|8|");
	is_int(conf_split(strcpy(copy, "1 2 3"), NULL, 2, &column), -2, "too many");
	is_int(column, 4, "where");
	is_int(conf_split(strcpy(copy, "ab \"c"), NULL, 2, &column), -1, "not closed");
	is_int(column, 3, "where");
}

static void test_nearest(void)
{
	static const char *const known[] = { "--port", "--max-threads", "--help", NULL };
	static const char *const none[] = { NULL };
	char word[100];

	is_string(nearest("--prot", 6, known), "--port", "two letters swapped");
	is_string(nearest("--maxthreads", 12, known), "--max-threads", "a letter missing");
	is_string(nearest("", 0, known), "--port", "nothing");
	memset(word, 'x', sizeof(word));
	ok(nearest(word, sizeof(word), known) != NULL, "a long word");
	ok(nearest("x", 1, none) == NULL, "of nothing");
}

static void test_damage(void)
{
	static const char good[] =
		M "memory = 64M\npublish = 1.2.3.4:8080:80/tcp\ntimeout = 0.5h\n[program a]\n"
		  "args = 'a b' \"c\\\" d\" e\nport = tcp/80\nnet = share\nfiles = /x\nvolume = "
		  "a:/b\nguarantee = 2\ndemand = b\nanswer = 1\ncpu = 2\n[program b]\nmain=yes\n";
	char text[sizeof(good)];

	srand(1);
	for (int i = 0; i < 50000; i++) {
		size_t len = rand() % 8 ? sizeof(good) - 1 : (size_t)rand() % sizeof(good);

		memcpy(text, good, sizeof(good));
		for (int n = rand() % 5; n > 0; n--)
			text[(size_t)rand() % (sizeof(good) - 1)] =
				rand() % 2 ? "[]=\n '\"\\#/:."[rand() % 12] : (char)rand();
		read_bytes(text, len);
	}
	ok(true, "50000 damaged configurations");
}

int main(void)
{
	test_good();
	test_section_errors();
	test_key_errors();
	test_whole_errors();
	test_split();
	test_nearest();
	test_damage();
	free(buffer);
	return done();
}
