/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of programs: what clang leaves is put together right, each thing that can be wrong has its error, and whatever
 * bytes change or are cut off, nothing outside the file is read and nothing outside the program written (ASan says).
 *
 * The object is made here, byte by byte, so that the test needs no compiler: program, function, constants, variables, and
 * variables of window 2, with a reference to each.
 */
#include <stdlib.h>
#include "libos/core/code_object.h"
#include "libos/core/insn.h"
#include "test/unit/tap.h"

struct ehdr {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct shdr {
	uint32_t name, type;
	uint64_t flags, addr, offset, size;
	uint32_t link, info;
	uint64_t addralign, entsize;
};

struct symbol {
	uint32_t name;
	uint8_t info, other;
	uint16_t section;
	uint64_t value, size;
};

struct reloc {
	uint64_t offset, info;
};

enum { NONE, TEXT, PACKET, RODATA, DATA, BSS, WINDOW2, REL, SYMTAB, STRTAB, SECTIONS };
enum { SYM_NONE, SYM_HELPER, SYM_NAME, SYM_FIRST, SYM_COUNT, SYM_LAST, SYMBOLS };

static const char names[] = "\0.text\0packet\0.rodata\0.data\0.bss\0window2\0.relpacket\0.symtab\0.strtab\0helper\0name\0first\0"
    "count\0last";

static struct object {
	struct ehdr header;
	struct shdr section[SECTIONS];
	struct exo_insn text[2], packet[12];
	uint8_t rodata[5], data[8];
	struct reloc rel[5];
	struct symbol symbol[SYMBOLS];
	char strings[sizeof(names)];
} __attribute__((packed)) good;

static uint32_t name_of(const char *name)
{
	size_t bytes = strlen(name) + 1;
	uint32_t at = 0;

	while (memcmp(names + at, name, bytes))
		at++;
	return at;
}

#define PLACE(field)	offsetof(struct object, field), sizeof(good.field)

static void section(unsigned index, const char *name, uint32_t type, uint64_t flags, uint64_t offset, uint64_t size)
{
	good.section[index] = (struct shdr){ .name = name_of(name), .type = type, .flags = flags, .offset = offset,
		.size = size, .addralign = 8 };
}

static void make(void)
{
	static const struct exo_insn text[] = { INSN_OPI(MOV, 0, 1), INSN_EXIT };
	static const struct exo_insn packet[] = {
		INSN(0x18, 1, 0, 0, 2), INSN(0, 0, 0, 0, 0),	/* name + 2 */
		INSN(0x18, 2, 0, 0, 0), INSN(0, 0, 0, 0, 0),	/* first */
		INSN(0x18, 3, 0, 0, 0), INSN(0, 0, 0, 0, 0),	/* count */
		INSN(0x18, 4, 0, 0, 0), INSN(0, 0, 0, 0, 0),	/* last */
		INSN(0x85, 0, 1, 0, -1),			/* helper() */
		INSN_OPI(MOV, 0, 0), INSN_OPI(MOV, 0, 0), INSN_EXIT,
	};

	memset(&good, 0, sizeof(good));
	memcpy(good.header.ident, "\177ELF\2\1\1", 7);
	good.header.type = 1;
	good.header.machine = 247;
	good.header.shoff = offsetof(struct object, section);
	good.header.shentsize = sizeof(struct shdr);
	good.header.shnum = SECTIONS;
	good.header.shstrndx = STRTAB;
	section(TEXT, ".text", 1, 6, PLACE(text));
	section(PACKET, "packet", 1, 6, PLACE(packet));
	section(RODATA, ".rodata", 1, 2, PLACE(rodata));
	section(DATA, ".data", 1, 3, PLACE(data));
	section(BSS, ".bss", 8, 3, 0, 5000);
	section(WINDOW2, "window2", 8, 3, 0, 100);
	section(REL, ".relpacket", 9, 0, PLACE(rel));
	section(SYMTAB, ".symtab", 2, 0, PLACE(symbol));
	section(STRTAB, ".strtab", 3, 0, PLACE(strings));
	good.section[REL].info = PACKET;
	good.section[REL].entsize = sizeof(struct reloc);
	good.section[SYMTAB].link = STRTAB;
	good.section[SYMTAB].entsize = sizeof(struct symbol);
	memcpy(good.text, text, sizeof(text));
	memcpy(good.packet, packet, sizeof(packet));
	memcpy(good.rodata, "hello", 5);
	memcpy(good.data, "\1\2\3\4\5\6\7\10", 8);
	memcpy(good.strings, names, sizeof(names));
	good.symbol[SYM_HELPER] = (struct symbol){ name_of("helper"), 2, 0, TEXT, 0, 16 };
	good.symbol[SYM_NAME] = (struct symbol){ name_of("name"), 1, 0, RODATA, 0, 5 };
	good.symbol[SYM_FIRST] = (struct symbol){ name_of("first"), 1, 0, DATA, 4, 4 };
	good.symbol[SYM_COUNT] = (struct symbol){ name_of("count"), 1, 0, BSS, 4096, 8 };
	good.symbol[SYM_LAST] = (struct symbol){ name_of("last"), 1, 0, WINDOW2, 92, 8 };
	for (unsigned i = 0; i < 4; i++)
		good.rel[i] = (struct reloc){ 16 * i, (uint64_t)(SYM_NAME + i) << 32 | 1 };
	good.rel[4] = (struct reloc){ 64, (uint64_t)SYM_HELPER << 32 | 10 };
}

static enum code_status read_only(const void *file, size_t size)
{
	struct code_object object;
	enum code_status status = code_object_read(&object, file, size);
	struct exo_insn *insn;
	uint8_t *data, *window[EXO_WINDOWS_OWN];
	uint32_t offset;
	unsigned w;

	if (status)
		return status;
	insn = malloc(object.header.insns * sizeof(*insn));
	data = malloc(object.header.data_bytes + 1);
	for (w = 0; w < EXO_WINDOWS_OWN; w++)
		window[w] = calloc(1, object.window_bytes[w] + 1);
	status = code_object_place(&object, insn, data, window);
	(void)code_object_variable(&object, "count", &w, &offset);
	for (w = 0; w < EXO_WINDOWS_OWN; w++)
		free(window[w]);
	free(data);
	free(insn);
	return status;
}

static void test_good(void)
{
	static uint8_t data[64], memory[8192], other[4096];
	uint8_t *const window[EXO_WINDOWS_OWN] = { memory, NULL, other, NULL };
	struct exo_insn insn[14];
	struct code_object object;
	uint32_t offset;
	unsigned w;

	is_int(code_object_read(&object, &good, sizeof(good)), CODE_OK, "an object");
	ok(object.header.use == EXO_USE_PACKET && object.header.insns == 14 && object.header.data_bytes == 5 &&
	    object.header.fuel == EXO_FUEL_PACKET, "its header");
	ok(object.header.window[0].frames == 2 && object.header.window[0].flags == EXO_WINDOW_WRITE &&
	    !object.header.window[1].frames && object.header.window[2].frames == 1, "windows as its variables need");
	is_int(code_object_place(&object, insn, data, window), CODE_OK, "put together");
	ok(insn[0].regs == (1 | 6 << 4) && insn[0].imm == EXO_WINDOW_DATA && insn[1].imm == 2, "a constant, with its addend");
	ok(insn[2].imm == 0 && insn[3].imm == 4 && memory[4] == 5, "a variable with a value");
	ok(insn[4].imm == 0 && insn[5].imm == 8 + 4096, "one without, behind it");
	ok(insn[6].imm == 2 && insn[7].imm == 92, "one of another window");
	ok(insn[8].imm == 12 - 8 - 1, "a call of a function, which comes behind the program");
	ok(!memcmp(data, "hello", 5), "constants");
	ok(code_object_variable(&object, "count", &w, &offset) == 8 && w == 0 && offset == 8 + 4096, "found by name");
	ok(code_object_variable(&object, "last", &w, &offset) == 8 && w == 2 && offset == 92, "in its window");
	is_int(code_object_variable(&object, "name", &w, &offset), 0, "a constant is no variable");
	is_int(code_object_variable(&object, "nothing", &w, &offset), 0, "nor is nothing");
}

#define BAD(change, status) \
	do { \
		struct object bad = good; \
		enum code_status got; \
		change; \
		got = read_only(&bad, sizeof(bad)); \
		ok(got == (status), "%s: %s", #change, code_status_text(got)); \
	} while (0)

static void test_bad(void)
{
	ok(read_only(&good, 20) == CODE_SHORT, "too short");
	BAD(bad.header.ident[4] = 1, CODE_MAGIC);
	BAD(bad.header.machine = 62, CODE_MACHINE);
	BAD(bad.header.type = 2, CODE_TYPE);
	BAD(bad.header.shentsize = 40, CODE_TABLE);
	BAD(bad.header.shoff = ~0ULL, CODE_TABLE);
	BAD(bad.header.shstrndx = SECTIONS, CODE_TABLE);
	BAD(bad.section[STRTAB].offset = sizeof(bad), CODE_SECTION_PLACE);
	BAD(bad.section[PACKET].size = ~7ULL, CODE_SECTION_PLACE);
	BAD(bad.section[DATA].name = sizeof(names), CODE_SECTION_NAME);
	BAD(bad.section[RODATA].addralign = 3, CODE_SECTION_ALIGN);
	BAD(bad.section[RODATA].addralign = 8192, CODE_SECTION_ALIGN);
	BAD(bad.section[PACKET].name = bad.section[TEXT].name, CODE_NO_PROGRAM);
	BAD(bad.section[TEXT].name = bad.section[PACKET].name, CODE_PROGRAMS);
	BAD(bad.section[PACKET].size -= 4, CODE_INSN_PART);
	BAD(bad.section[PACKET].type = 8, CODE_INSN_PART);
	BAD((bad.section[RODATA].type = 8, bad.section[RODATA].size = EXO_CODE_DATA_MAX + 1), CODE_DATA_SIZE);
	BAD(bad.section[BSS].size = EXO_WINDOW_FRAMES_MAX * 4096, CODE_WINDOW_SIZE);
	BAD(bad.section[BSS].size = ~0ULL, CODE_WINDOW_SIZE);
	BAD(bad.section[SYMTAB].entsize = 0, CODE_SYMBOLS);
	BAD(bad.section[SYMTAB].link = SECTIONS, CODE_SYMBOLS);
	BAD(bad.section[REL].entsize = 24, CODE_RELOC_SIZE);
	BAD(bad.section[REL].type = 4, CODE_RELOC_SIZE);
	BAD(bad.section[REL].info = DATA, CODE_RELOC_DATA);
	BAD(bad.rel[0].offset = 4, CODE_RELOC_PLACE);
	BAD(bad.rel[0].offset = sizeof(bad.packet), CODE_RELOC_PLACE);
	BAD(bad.rel[0].offset = 72, CODE_RELOC_PLACE);
	BAD(bad.rel[4].offset = 72, CODE_RELOC_PLACE);
	BAD(bad.rel[0].info = (uint64_t)SYM_NAME << 32 | 3, CODE_RELOC_KIND);
	BAD(bad.rel[0].info = (uint64_t)SYMBOLS << 32 | 1, CODE_SYMBOLS);
	BAD(bad.symbol[SYM_NAME].section = 0, CODE_RELOC_SYMBOL);
	BAD(bad.symbol[SYM_NAME].section = 0xfff2, CODE_RELOC_SYMBOL);
	BAD(bad.symbol[SYM_NAME].value = 6, CODE_RELOC_TARGET);
	BAD(bad.packet[0].imm = 100, CODE_RELOC_TARGET);
	BAD(bad.packet[8].imm = 7, CODE_RELOC_TARGET);
	BAD(bad.symbol[SYM_NAME].section = TEXT, CODE_RELOC_WINDOW);
	BAD(bad.symbol[SYM_HELPER].section = DATA, CODE_RELOC_WINDOW);
}

/* Each byte to each of some values, and cut off at each length; the file ends where its memory does. */
static void test_any(void)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	unsigned accepted = 0, i, v;
	uint8_t *copy;

	for (i = 0; i < sizeof(good); i++) {
		copy = malloc(i + 1);
		memcpy(copy, &good, i);
		accepted += read_only(copy, i) == CODE_OK;
		free(copy);
	}
	for (i = 0; i < sizeof(good); i++)
		for (v = 0; v < sizeof(values); v++) {
			copy = malloc(sizeof(good));
			memcpy(copy, &good, sizeof(good));
			copy[i] = values[v];
			accepted += read_only(copy, sizeof(good)) == CODE_OK;
			free(copy);
		}
	ok(accepted > 0, "%u of all mutations are objects still", accepted);
}

int main(void)
{
	make();
	test_good();
	test_bad();
	test_any();
	return done();
}
