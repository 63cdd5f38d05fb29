/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of libos/fs/tar: every record kind, every error, truncation at each byte, and random damage.
 * Archives are copied to buffers of their exact size first, so that the address sanitizer sees a read
 * outside.
 */
#include <stdint.h>
#include <stdlib.h>

#include "libos/fs/tar.h"
#include "test/unit/tap.h"

static unsigned char image[1 << 22];
static size_t used;

static struct tar t;
static struct tar_error error;
static unsigned char *copy;
static void *index_memory;
static struct tar_node no_nodes[1];
static uint32_t no_bucket;
volatile unsigned touched;

static void set_checksum(unsigned char *h)
{
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
}

/* Append a header and a body; returns the header. */
static unsigned char *member(char type, const char *name, const void *body, size_t size)
{
	unsigned char *h = image + used;

	memset(h, 0, 512 + (size + 511) / 512 * 512);
	strncpy((char *)h, name, 100);
	memcpy(h + 100, "0000644", 8);
	snprintf((char *)h + 124, 12, "%011zo", size);
	memcpy(h + 136, "00000001750", 12);
	h[156] = (unsigned char)type;
	memcpy(h + 257, "ustar\00000", 8);
	set_checksum(h);
	memcpy(h + 512, body, size);
	used += 512 + (size + 511) / 512 * 512;
	return h;
}

static void link_to(unsigned char *h, const char *target)
{
	strncpy((char *)h + 157, target, 100);
	set_checksum(h);
}

static void text_file(const char *name, const char *text)
{
	member('0', name, text, strlen(text));
}

static void end_mark(void)
{
	memset(image + used, 0, 1024);
	used += 1024;
}

static void begin(void)
{
	used = 0;
}

/* Open the first `size` bytes of the image from a buffer of just that size. */
static enum tar_status open_first(size_t size)
{
	size_t need;

	free(copy);
	free(index_memory);
	copy = malloc(size ? size : 1);
	index_memory = NULL;
	t = (struct tar){ .nodes = no_nodes, .buckets = &no_bucket };
	memcpy(copy, image, size);
	need = tar_need(copy, size, &error);
	if (!need)
		return error.status;
	index_memory = malloc(need);
	return tar_open(&t, copy, size, index_memory, need, &error);
}

static enum tar_status open_all(void)
{
	return open_first(used);
}

static const struct tar_node *find(const char *path)
{
	enum tar_status status;

	return tar_find(&t, NULL, path, strlen(path), &status);
}

static enum tar_status why(const char *path)
{
	enum tar_status status;

	tar_find(&t, NULL, path, strlen(path), &status);
	return status;
}

static void has(const char *path, const char *content)
{
	const struct tar_node *n = find(path);

	is_text(n ? n->data : NULL, n ? n->size : 0, content, path);
}

static void test_plain(void)
{
	const struct tar_node *n;

	begin();
	member('5', "./", "", 0);
	text_file("./index.html", "hi");
	member('5', "./sub/", "", 0);
	text_file("sub/a", "first");
	text_file("sub/deep/er/b", "bee");
	text_file("/absolute", "abs");
	text_file("empty", "");
	text_file("caf\xc3\xa9 \xff\"\\", "odd");
	text_file("sub/a", "second");
	member('0', "olddir/", "", 0);
	member('3', "device", "", 0);
	end_mark();
	is_int(open_all(), TAR_OK, "a plain archive opens");
	is_int((long long)t.bytes, (long long)used, "its length is known");
	has("/index.html", "hi");
	has("index.html", "hi");
	has("./index.html", "hi");
	has("//sub///a", "second");
	has("/sub/deep/er/b", "bee");
	has("/sub/../sub/./deep/er/../er/b", "bee");
	has("/../../absolute", "abs");
	has("/caf\xc3\xa9 \xff\"\\", "odd");
	has("/empty", "");
	n = find("/sub/a");
	ok(n && n->mtime == 01750 && n->mode == 0644 && n->kind == TAR_FILE, "time, mode and kind");
	n = find("/sub/deep");
	ok(n && n->kind == TAR_DIRECTORY && n->mtime == 0, "an implied directory");
	ok(find("/olddir") && find("/olddir")->kind == TAR_DIRECTORY,
	   "an old directory: a name with a slash");
	ok(find("/") == &t.nodes[0] && find("") == &t.nodes[0] && find("/sub/..") == &t.nodes[0],
	   "names of the root");
	is_int(why("/nope"), TAR_NOENT, "a missing name");
	is_int(why("/device"), TAR_NOENT, "a device is left out");
	is_int(why("/index.html/x"), TAR_NOTDIR, "a file is no directory");
	is_int(why("/index.html/"), TAR_NOTDIR, "nor with a trailing slash");
	is_int(why("/sub/nope/../a"), TAR_NOENT, "a missing name before ..");
	ok(find("/sub/"), "a directory may have a trailing slash");
}

static void test_readdir(void)
{
	static const char *const names[] = { "index.html", "sub", "absolute", "empty", NULL, "olddir" };
	const struct tar_node *n = tar_first(&t, find("/"));
	bool right = true;
	size_t i;

	for (i = 0; n; n = tar_next(&t, n), i++)
		right = right && i < 6 && (!names[i] || (n->name_len == strlen(names[i]) &&
							 !memcmp(n->name, names[i], n->name_len)));
	ok(right && i == 6, "the root's entries in the archive's order, each once");
	ok(!tar_first(&t, find("/empty")) && !tar_first(&t, find("/olddir")),
	   "no entries in a file or an empty directory");
}

static void test_root_view(void)
{
	const struct tar_node *root = find("/sub");
	enum tar_status status;

	ok(tar_find(&t, root, "/a", 2, &status), "below another root");
	ok(tar_find(&t, root, "/../../index.html", 17, &status) == NULL && status == TAR_NOENT,
	   "and not out of it");
	ok(tar_find(&t, root, "..", 2, &status) == root, "its .. is itself");
}

static void test_long_names(void)
{
	char name[400], pax[600], path[400];
	unsigned char *h;
	size_t n;

	memset(name, 'n', 250);
	strcpy(name + 250, "/long");
	begin();
	member('L', "././@LongLink", name, strlen(name) + 1);
	text_file("short", "gnu");
	memset(name, 'p', 250);
	n = (size_t)snprintf(pax, sizeof(pax), "265 path=%s\n20 mtime=-1234.5678\n11 hdr=x=y\n", name);
	ok(n == 265 + 20 + 11, "pax test record lengths");
	member('x', "PaxHeaders/x", pax, n);
	text_file("short", "pax");
	h = member('0', "tail", "pre", 3);
	strcpy((char *)h + 345, "dir/prefix");
	set_checksum(h);
	end_mark();
	is_int(open_all(), TAR_OK, "long names open");
	memset(path, 'n', 250);
	strcpy(path + 250, "/long");
	has(path, "gnu");
	memset(path, 'p', 250);
	strcpy(path + 250, "/long");
	has(path, "pax");
	ok(find(path) && find(path)->mtime == -1235, "a pax time before 1970, rounded down");
	has("/dir/prefix/tail", "pre");
}

static void test_links(void)
{
	begin();
	text_file("d/file", "content");
	link_to(member('1', "d/hard", "", 0), "d/file");
	link_to(member('2', "soft", "", 0), "d/file");
	link_to(member('2', "d/up", "", 0), "../soft");
	link_to(member('2', "dirlink", "", 0), "d");
	link_to(member('2', "abs", "", 0), "/d/file");
	link_to(member('2', "loop", "", 0), "loop");
	link_to(member('2', "loop2", "", 0), "loop3/x");
	link_to(member('2', "loop3", "", 0), "loop2/y");
	link_to(member('2', "dangling", "", 0), "nowhere");
	end_mark();
	is_int(open_all(), TAR_OK, "links open");
	has("/d/hard", "content");
	has("/soft", "content");
	has("/d/up", "content");
	has("/dirlink/file", "content");
	has("/dirlink/up", "content");
	has("/abs", "content");
	has("/dirlink/../soft", "content");
	is_int(why("/loop"), TAR_LOOP, "a link to itself");
	is_int(why("/loop2"), TAR_LOOP, "links in a circle");
	is_int(why("/dangling"), TAR_NOENT, "a link to nothing");
	is_int(why("/soft/"), TAR_NOTDIR, "a link to a file is no directory");
}

static void expect_error(enum tar_status status, size_t offset, const char *name)
{
	enum tar_status got = open_all();

	ok(got == status && error.status == status && error.offset == offset && error.text && error.text[0],
	   "%s: error %d at %zu", name, got, error.offset);
}

static unsigned char *second(const char *name)
{
	begin();
	text_file("first", "x");
	return member('0', name, "y", 1);
}

static void expect_size(const char *field, size_t len, enum tar_status status, const char *name)
{
	unsigned char *h = second("second");

	memset(h + 124, 0, 12);
	memcpy(h + 124, field, len);
	set_checksum(h);
	end_mark();
	expect_error(status, 1024, name);
}

static void test_number_errors(void)
{
	expect_size("9", 1, TAR_NUMBER, "a size that is not octal");
	expect_size("-1", 2, TAR_NUMBER, "a signed size");
	expect_size("77777777777", 11, TAR_TRUNCATED, "a size beyond the archive");
	expect_size("777777777777", 12, TAR_TRUNCATED, "a size of twelve digits");
	expect_size("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, TAR_TRUNCATED,
		    "the largest binary size");
	expect_size("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, TAR_NUMBER, "a binary size of 2^63");
	expect_size("\x80\x01\0\0\0\0\0\0\0\0\0\0", 12, TAR_NUMBER, "a binary size of 2^80");
	expect_size("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, TAR_NUMBER,
		    "a negative binary size");
	expect_size("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xfe\x01", 12, TAR_TRUNCATED,
		    "a size that rounds up past 2^63");
	expect_size("\x81\0\0\0\0\0\0\0\0\0\0\1", 12, TAR_NUMBER, "an unknown binary form");
}

static void pax_error(const char *record, enum tar_status status, const char *name)
{
	begin();
	member('x', "pax", record, strlen(record));
	text_file("file", "x");
	end_mark();
	expect_error(status, 0, name);
}

static void test_record_errors(void)
{
	pax_error("path=x\n", TAR_RECORD, "a record without its length");
	pax_error("9 path=x\n", TAR_OK, "a good record");
	pax_error("8 path=x\n", TAR_RECORD, "a length that stops short of the line end");
	pax_error("10 path=x\n", TAR_OK, "a good record of two digits");
	pax_error("11 path=x\n", TAR_RECORD, "a length beyond the body");
	pax_error("99999999999999999999 path=x\n", TAR_RECORD, "a length beyond 2^64");
	pax_error("18446744073709551615 path=x\n", TAR_RECORD, "a length of 2^64 - 1");
	pax_error("3 \n", TAR_RECORD, "a record without a key");
	pax_error("2 \n", TAR_RECORD, "a record shorter than its own start");
	pax_error("0 path=x\n", TAR_RECORD, "a length of 0");
	pax_error("12 path=../x", TAR_RECORD, "no line end");
	pax_error("11 size=1x\n", TAR_NUMBER, "a size with a letter");
	pax_error("28 size=9223372036854775808\n", TAR_NUMBER, "a size of 2^63");
	pax_error("22 GNU.sparse.major=1\n", TAR_UNSUPPORTED, "a sparse file");
	pax_error("11 mtime=.\n", TAR_NUMBER, "a time without digits");
}

/* Errors that a record causes in the member behind it are told at the member. */
static void test_name_errors(void)
{
	static const char dots[] = "13 path=a/..\n", huge[] = "28 size=9223372036854775807\n";
	char name[5000];

	begin();
	member('x', "pax", dots, strlen(dots));
	text_file("file", "x");
	end_mark();
	expect_error(TAR_NAME, 1024, "a .. in a pax path");
	begin();
	member('x', "pax", huge, strlen(huge));
	text_file("file", "x");
	end_mark();
	expect_error(TAR_TRUNCATED, 1024, "a pax size of 2^63 - 1");

	second("a/../b");
	end_mark();
	expect_error(TAR_NAME, 1024, "a .. component");
	second("");
	end_mark();
	expect_error(TAR_NAME, 1024, "a file without a name");
	second("first/b");
	end_mark();
	expect_error(TAR_CONFLICT, 1024, "a file used as a directory");
	begin();
	text_file("first/b", "x");
	text_file("first", "x");
	end_mark();
	expect_error(TAR_CONFLICT, 1024, "a directory replaced by a file");
	begin();
	memset(name, 'n', 256);
	name[256] = 0;
	member('L', "L", name, 257);
	text_file("x", "");
	end_mark();
	expect_error(TAR_NAME, 1024, "a component of 256 bytes");
	begin();
	for (int i = 0; i < 4998; i++)
		name[i] = i % 2 ? '/' : 'd';
	name[4998] = 0;
	member('L', "L", name, 4999);
	text_file("x", "");
	end_mark();
	expect_error(TAR_NAME, 512 + 5120, "a path of 4998 bytes");
	begin();
	member('L', "L", "", 0);
	expect_error(TAR_NAME, 0, "an empty long name");
	begin();
	link_to(member('1', "hard", "", 0), "nothing");
	end_mark();
	expect_error(TAR_HARDLINK, 0, "a hard link to nothing");
	begin();
	member('S', "sparse", "", 0);
	expect_error(TAR_UNSUPPORTED, 0, "an old sparse file");
}

/* Read every byte that the index points to. */
static void touch_all(void)
{
	unsigned sum = 0;

	for (uint32_t i = 0; i < t.count; i++) {
		for (uint64_t k = 0; k < t.nodes[i].size; k++)
			sum += ((const unsigned char *)t.nodes[i].data)[k];
		for (size_t k = 0; k < t.nodes[i].name_len; k++)
			sum += (unsigned char)t.nodes[i].name[k];
	}
	touched = sum;
}

static void test_damage(void)
{
	static unsigned char keep[1 << 16];
	size_t total, i;
	bool all = true;

	test_links();	/* leaves its archive in the image */
	total = used;
	for (i = 0; i < total - 512; i++)
		all = all && open_first(i) == TAR_TRUNCATED;
	ok(all, "truncated at any byte before the end mark: TAR_TRUNCATED");
	is_int(open_first(total - 512), TAR_OK, "one zero block is enough of an end");
	image[600] ^= 1;
	is_int(open_all(), TAR_OK, "a body is not checked");
	image[10] ^= 1;
	expect_error(TAR_CHECKSUM, 0, "a changed header byte");
	memset(image, 'x', 4096);
	used = 4096;
	expect_error(TAR_CHECKSUM, 0, "no archive at all");
	used = 0;
	expect_error(TAR_TRUNCATED, 0, "no bytes at all");

	test_long_names();
	total = used;
	memcpy(keep, image, total);
	srand(1);
	for (i = 0; i < 20000; i++) {
		memcpy(image, keep, total);
		for (int n = rand() % 4; n >= 0; n--)
			image[(size_t)rand() % total] = (unsigned char)rand();
		for (size_t at = 0; at < total && rand() % 4; at += 512)
			set_checksum(image + at);
		if (open_all() == TAR_OK)
			touch_all();
	}
	ok(true, "20000 damaged archives, and nothing is read outside");
}

static void test_many(void)
{
	char name[64];
	size_t need;
	bool all = true;

	begin();
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "dir%d/file%d", i / 100, i);
		member('0', name, "", 0);
	}
	end_mark();
	is_int(open_all(), TAR_OK, "5000 files");
	is_int(t.count, 5000 + 50 + 1, "a node for each file and directory");
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "/dir%d/file%d", i / 100, i);
		all = all && find(name);
	}
	ok(all, "all are found");
	need = tar_need(copy, used, &error);
	all = tar_open(&t, copy, used, index_memory, need - 2 * sizeof(struct tar_node), &error) ==
	      TAR_MEMORY;
	ok(all && error.status == TAR_MEMORY, "too little index memory is an error");
	ok(tar_open(&t, copy, used, index_memory, 0, &error) == TAR_MEMORY, "none too");
	ok(tar_open(&t, copy, used, index_memory, sizeof(struct tar_node), &error) == TAR_MEMORY,
	   "almost none too");
}

int main(void)
{
	test_plain();
	test_readdir();
	test_root_view();
	test_long_names();
	test_links();
	test_number_errors();
	test_record_errors();
	test_name_errors();
	test_damage();
	test_many();
	free(copy);
	free(index_memory);
	return done();
}
