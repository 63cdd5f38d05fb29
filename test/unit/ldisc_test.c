/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of libos/keep/ldisc: each character of canonical input, modes, output; then random typing
 * against a naive model, with a screen that shows what a person would see.
 */
#include <signal.h>
#include <stdlib.h>
#include "libos/keep/ldisc.h"
#include "test/unit/tap.h"

#define CONTROL(c)	((c) & 0x1f)
#define RANDOM_BYTES	400000

static struct ldisc tty;
static int last_signal, inputs;
static char shown[65536];
static size_t shown_bytes;

static void on_signal(struct ldisc *ldisc, int number)
{
	(void)ldisc;
	last_signal = number;
}

static void on_input(struct ldisc *ldisc)
{
	(void)ldisc;
	inputs++;
}

static void on_output(struct ldisc *ldisc)
{
	shown_bytes += ldisc_take(ldisc, shown + shown_bytes, sizeof(shown) - shown_bytes);
}

static void on_room(struct ldisc *ldisc)
{
	(void)ldisc;
}

static const struct ldisc_hooks hooks = { on_signal, on_input, on_output, on_room };

static void start(void)
{
	ldisc_start(&tty, &hooks);
	shown_bytes = 0;
	last_signal = 0;
}

static void type(const char *bytes)
{
	while (*bytes)
		ldisc_type(&tty, (uint8_t)*bytes++);
}

static void is_read(const char *wanted, const char *name)
{
	char *buffer = malloc(256);
	size_t got = ldisc_ready(&tty) ? ldisc_read(&tty, buffer, 256) : 0;

	is_text(buffer, got, wanted, name);
	free(buffer);
}

static void is_shown(const char *wanted, const char *name)
{
	is_text(shown, shown_bytes, wanted, name);
	shown_bytes = 0;
}

static void set(tcflag_t iflag, tcflag_t oflag, tcflag_t lflag)
{
	struct termios new = tty.termios;

	new.c_iflag = iflag;
	new.c_oflag = oflag;
	new.c_lflag = lflag;
	ldisc_set(&tty, &new);
}

static void test_lines(void)
{
	start();
	type("hello");
	ok(!ldisc_ready(&tty), "a line is not there before its end");
	type("\r");
	is_read("hello\n", "CR becomes the newline that ends it");
	is_shown("hello\r\n", "it is echoed");
	type("one\ntwo\n");
	is_read("one\n", "a read gets one line");
	is_read("two\n", "and the next one the next");
	type("abc\177\177d\n");
	is_read("ad\n", "ERASE");
	is_shown("one\r\ntwo\r\nabc\b \b\b \bd\r\n", "... on the screen too");
	type("\177\177x\n");
	is_read("x\n", "ERASE at the beginning does nothing");
	type("all gone\25new\n");
	is_read("new\n", "KILL");
	type("two words \27one\n");
	is_read("two one\n", "WERASE takes a word and the blanks behind it");
	shown_bytes = 0;
	type("ab\22c\n");
	is_shown("ab^R\r\nabc\r\n", "REPRINT");
	is_read("abc\n", "... changes nothing");
	type("a\26\177b\26\3\n");
	is_read("a\177b\3\n", "LNEXT");
	ok(!last_signal, "... takes the meaning of INTR away");
	type("part\4");
	is_read("part", "EOF ends a line without being in it");
	type("\4");
	ok(ldisc_ready(&tty), "EOF alone is there to be read");
	is_read("", "... as the end of file");
	ok(!ldisc_ready(&tty), "... once");
}

static void test_pieces(void)
{
	char four[4];

	start();
	type("abcdef\n");
	is_int((long long)ldisc_read(&tty, four, 4), 4, "a read takes as much as it wants of a line");
	is_read("ef\n", "the rest comes next");
	type("abcd\4");
	is_int((long long)ldisc_read(&tty, four, 4), 4, "a line of EOF that fills the reader");
	ok(!ldisc_ready(&tty), "... is no end of file for the next one");
	for (int i = 0; i < 5000; i++)
		ldisc_type(&tty, 'x');
	ldisc_type(&tty, '\n');
	ok(ldisc_ready(&tty), "a line that is too long can still be ended");
	is_int((long long)ldisc_readable(&tty), LDISC_IN, "its beginning is kept");
}

static void test_signals(void)
{
	start();
	type("half a line\3");
	is_int(last_signal, SIGINT, "INTR");
	is_shown("half a line^C", "... is echoed");
	type("x\n");
	is_read("x\n", "... and throws the line away");
	type("\34");
	is_int(last_signal, SIGQUIT, "QUIT");
	type("\32");
	is_int(last_signal, SIGTSTP, "SUSP");
	set(ICRNL, OPOST, ISIG | ICANON | NOFLSH);
	type("kept\3\n");
	is_read("kept\n", "NOFLSH");
	set(ICRNL, OPOST, ICANON);
	last_signal = 0;
	type("\3\n");
	is_int(last_signal, 0, "without ISIG INTR is a byte");
	is_read("\3\n", "... that is read");
}

static void test_raw(void)
{
	start();
	type("edited");
	set(0, OPOST, 0);
	is_read("edited", "what is edited can be read when ICANON goes");
	type("a\r\4\177");
	is_read("a\r\4\177", "raw: every byte as it is");
	set(INLCR, 0, 0);
	type("\n");
	is_read("\r", "INLCR");
	set(IGNCR, 0, 0);
	type("\rz");
	is_read("z", "IGNCR");
	set(ISTRIP, 0, 0);
	ldisc_type(&tty, 0x80 | 'q');
	is_read("q", "ISTRIP");
	type("rest");
	set(0, 0, ICANON);
	is_read("rest", "what came raw is a line when ICANON comes");
}

static void test_output(void)
{
	start();
	ldisc_write(&tty, "a\nb", 3);
	is_shown("a\r\nb", "ONLCR");
	set(0, 0, 0);
	ldisc_write(&tty, "a\nb", 3);
	is_shown("a\nb", "without OPOST nothing is changed");
	set(0, OPOST | TAB3, 0);
	ldisc_write(&tty, "\rab\tc", 5);
	is_shown("\rab      c", "TAB3");
	set(0, OPOST | OCRNL, 0);
	ldisc_write(&tty, "x\r", 2);
	is_shown("x\n", "OCRNL");
	start();
	type("\23");
	is_int((long long)ldisc_write(&tty, "held", 4), 4, "STOP: writing goes on while there is room");
	is_shown("", "... and nothing is shown");
	type("\21");
	is_shown("held", "START");
	type("\23");
	char *much = calloc(1, 100000);
	size_t took = ldisc_write(&tty, much, 100000);
	ok(took > 4000 && took < LDISC_OUT, "a full terminal takes no more: %zu", took);
	free(much);
	ldisc_flush(&tty, TCOFLUSH);
	type("\21");
	is_shown("", "TCOFLUSH");
	type("typed\n");
	ldisc_flush(&tty, TCIFLUSH);
	ok(!ldisc_ready(&tty), "TCIFLUSH");
}

/* --- random typing ------------------------------------------------------------------------------------ */

#define LINE_MAX_TYPED	200
static char line[LINE_MAX_TYPED + 8], ready[1 << 20];	/* the model: being edited; to be read */
static uint32_t line_bytes;
static size_t ready_bytes;
static char before[65536];		/* on the screen's row before the line */

static char row[65536];			/* the screen: its last row */
static size_t cursor, row_end;

static void screen(void)
{
	for (size_t i = 0; i < shown_bytes; i++) {
		char c = shown[i];
		if (c == '\n') {
			memset(row, ' ', sizeof(row));
			cursor = row_end = 0;
		} else if (c == '\r') {
			cursor = 0;
		} else if (c == '\b') {
			cursor -= cursor > 0;
		} else if (c == '\t') {
			cursor = cursor / 8 * 8 + 8;
		} else if ((unsigned char)c >= ' ') {
			row[cursor++] = c;
		}
		if (cursor > row_end)
			row_end = cursor;
	}
	shown_bytes = 0;
}

/* What the row should show. */
static size_t image(char *to)
{
	size_t at = strlen(before);

	memset(to, ' ', 4096);
	memcpy(to, before, at);
	for (uint32_t i = 0; i < line_bytes; i++) {
		unsigned char c = (unsigned char)line[i];
		if (c == '\t') {
			at = at / 8 * 8 + 8;
		} else if (c < ' ' || c == 0x7f) {
			to[at++] = '^';
			to[at++] = (char)(c ^ 0x40);
		} else {
			to[at++] = (char)c;
		}
	}
	return at;
}

static void model_keep(void)
{
	static char text[8192];
	size_t bytes = image(text);

	text[bytes] = '\0';
	strcpy(before, text);
}

static void model_commit(bool newline)
{
	memcpy(ready + ready_bytes, line, line_bytes);
	ready_bytes += line_bytes;
	if (newline) {
		ready[ready_bytes++] = '\n';
		before[0] = '\0';
	} else {
		model_keep();
	}
	line_bytes = 0;
}

static void model_word(void)
{
	while (line_bytes && (line[line_bytes - 1] == ' ' || line[line_bytes - 1] == '\t'))
		line_bytes--;
	while (line_bytes && line[line_bytes - 1] != ' ' && line[line_bytes - 1] != '\t')
		line_bytes--;
}

static void model_type(uint8_t byte, bool quoted)
{
	if (!quoted && byte == 0x7f) {
		line_bytes -= line_bytes > 0;
	} else if (!quoted && byte == CONTROL('U')) {
		line_bytes = 0;
	} else if (!quoted && byte == CONTROL('W')) {
		model_word();
	} else if (!quoted && byte == CONTROL('C')) {
		model_keep();
		strcat(before, "^C");
		line_bytes = 0;
		ready_bytes = 0;
	} else if (!quoted && (byte == '\n' || byte == '\r')) {
		model_commit(true);
	} else if (!quoted && byte == CONTROL('D')) {
		model_commit(false);
	} else {
		line[line_bytes++] = (char)byte;
	}
}

static uint8_t random_byte(void)
{
	static const char often[] = "\177\177\177\25\27\27\3\n\r\4  \t\26\26";
	unsigned r = (unsigned)rand();

	if (r % 3 == 0)
		return (uint8_t)often[r / 3 % (sizeof(often) - 1)];
	return (uint8_t)('a' + r / 3 % 26);
}

/* Read all that is there, in pieces of random size; against the model. */
static bool same_read(void)
{
	static char got[1 << 20];
	size_t bytes = 0;

	while (ldisc_ready(&tty))
		bytes += ldisc_read(&tty, got + bytes, (size_t)(1 + rand() % 20));
	bool same = bytes == ready_bytes && !memcmp(got, ready, bytes);
	ready_bytes = 0;
	return same;
}

static bool same_screen(void)
{
	static char wanted[8192];
	size_t bytes = image(wanted);

	screen();
	if (cursor == bytes && !memcmp(row, wanted, bytes))
		return true;
	printf("# cursor at %zu, not %zu: \"%.*s\", not \"%.*s\"\n", cursor, bytes, (int)row_end, row, (int)bytes,
	       wanted);
	return false;
}

static void test_random(void)
{
	bool quoted = false, reads = true, screens = true;

	start();
	memset(row, ' ', sizeof(row));
	srand(7);
	for (int i = 0; i < RANDOM_BYTES && reads && screens; i++) {
		uint8_t byte = random_byte();
		if (quoted && byte == '\t')
			byte = 'q';
		if (!quoted && (line_bytes >= LINE_MAX_TYPED || strlen(before) > 1000))
			byte = '\n';
		ldisc_type(&tty, byte);
		if (!quoted && byte == CONTROL('V')) {
			quoted = true;
			continue;
		}
		/* A newline that is quoted moves the screen, though not the line: leave that out. */
		model_type(byte, quoted);
		if (quoted && (byte == '\n' || byte == '\r')) {
			ldisc_type(&tty, '\n');
			model_type('\n', false);
		}
		quoted = false;
		if (ready_bytes > 1500 || rand() % 50 == 0)
			reads = same_read();
		screens = same_screen();
	}
	ok(reads, "random typing: what is read is what the model says");
	ok(screens, "random typing: the screen shows the line that is edited");
}

int main(void)
{
	test_lines();
	test_pieces();
	test_signals();
	test_raw();
	test_output();
	test_random();
	return done();
}
