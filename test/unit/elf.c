/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of libos/core/elf: a small synthetic executable, then the same with one thing wrong for each
 * error, cut at each byte, and damaged at random. Images are copied to buffers of their exact size, so that
 * the address sanitizer sees a read outside.
 */
#include <elf.h>
#include <stdlib.h>

/* The system's <elf.h> describes the format; the names below are ours. */
#undef ELF_NOTE_ABI
#include "libos/core/elf.h"
#include "test/unit/tap.h"

#define LOW	0x400000
#define HIGH	0x800000
#define CODE	0x401000
#define DATA	0x403000

static struct {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[4];
	struct {
		Elf64_Nhdr h;
		char name[4];
		uint32_t other[2];
	} gnu;
	struct {
		Elf64_Nhdr h;
		char name[4];
		uint32_t major, minor;
		uint32_t features[2];
	} note;
	char pad[0x1000 - 64 - 4 * 56 - 24 - 32];
	unsigned char code[0x1000];
	unsigned char data[0x100];
	Elf64_Sym sym[7];
	char names[64];
	Elf64_Shdr sh[5];
	char tail[8];
} f;

static size_t size = offsetof(__typeof__(f), tail);

static void add_symbol(int i, unsigned name, unsigned char info, uint64_t value, uint64_t len, uint16_t at)
{
	f.sym[i] = (Elf64_Sym){ .st_name = name, .st_info = info, .st_value = value, .st_size = len,
				.st_shndx = at };
}

static void build(void)
{
	memset(&f, 0, sizeof(f));
	memcpy(f.eh.e_ident, "\177ELF\2\1\1", 7);
	f.eh.e_type = ET_EXEC;
	f.eh.e_machine = EM_X86_64;
	f.eh.e_version = 1;
	f.eh.e_entry = CODE + 16;
	f.eh.e_phoff = offsetof(__typeof__(f), ph);
	f.eh.e_shoff = offsetof(__typeof__(f), sh);
	f.eh.e_phentsize = sizeof(Elf64_Phdr);
	f.eh.e_shentsize = sizeof(Elf64_Shdr);
	f.eh.e_phnum = 4;
	f.eh.e_shnum = 5;
	f.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x2000,
				.p_vaddr = DATA, .p_filesz = 0x100, .p_memsz = 0x2100, .p_align = 4096 };
	f.ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0x1000,
				.p_vaddr = CODE, .p_filesz = 0x1000, .p_memsz = 0x1000, .p_align = 4096 };
	f.ph[2] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_flags = PF_R, .p_offset = offsetof(__typeof__(f), gnu),
				.p_filesz = sizeof(f.gnu) + sizeof(f.note), .p_align = 4 };
	f.ph[3] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W | PF_X };
	f.gnu.h = (Elf64_Nhdr){ 4, 8, 5 };
	memcpy(f.gnu.name, "GNU", 4);
	f.note.h = (Elf64_Nhdr){ 4, 16, 1 };
	memcpy(f.note.name, "Exo", 4);
	f.note.major = 7;
	f.note.minor = 9;
	f.note.features[0] = 0x55;
	f.note.features[1] = 0x1;
	memcpy(f.names, "\0start\0local_label\0global\0variable\0nosize", 42);
	add_symbol(1, 1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), CODE + 16, 32, 1);
	add_symbol(2, 7, ELF64_ST_INFO(STB_LOCAL, STT_FUNC), CODE + 64, 16, 1);
	add_symbol(3, 19, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), CODE + 64, 16, 1);
	add_symbol(4, 26, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), DATA, 8, 2);
	add_symbol(5, 35, ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE), CODE + 128, 0, 1);
	add_symbol(6, 1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), CODE + 512, 16, SHN_ABS);
	f.sh[1] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
				.sh_addr = CODE, .sh_offset = 0x1000, .sh_size = 0x1000 };
	f.sh[2] = (Elf64_Shdr){ .sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_WRITE,
				.sh_addr = DATA + 0x100, .sh_offset = 0x2100, .sh_size = 0x2000 };
	f.sh[3] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = offsetof(__typeof__(f), sym),
				.sh_size = sizeof(f.sym), .sh_link = 4, .sh_entsize = sizeof(Elf64_Sym) };
	f.sh[4] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = offsetof(__typeof__(f), names),
				.sh_size = 42 };
}

/* Run all four functions on a copy of the first `bytes` bytes, one byte off any alignment. */
static enum elf_status load(size_t bytes, struct elf_image *out)
{
	unsigned char *copy = malloc(bytes + 1);
	enum elf_status status;
	struct elf_symbol symbol;
	struct elf_abi abi;
	size_t extent;

	memcpy(copy + 1, &f, bytes);
	status = elf_load(out, copy + 1, bytes, LOW, HIGH);
	if (elf_extent(copy + 1, bytes, &extent) == ELF_OK && extent > bytes)
		abort();
	elf_abi(copy + 1, bytes, &abi);
	if (elf_symbol(copy + 1, bytes, CODE + 64, &symbol) == ELF_OK && symbol.name_len)
		if (symbol.name[symbol.name_len - 1] == 0)
			abort();
	free(copy);
	return status;
}

static void refused(enum elf_status wanted, const char *name)
{
	struct elf_image out;
	enum elf_status got = load(size, &out);

	ok(got == wanted, "%s: %s", name, elf_text(got));
	build();
}

static void test_good(void)
{
	struct elf_image out;
	struct elf_abi abi = { .major = 0 };
	size_t extent = 0;

	build();
	is_int(load(size, &out), ELF_OK, "a good executable");
	is_int(out.count, 2, "two segments");
	ok(out.segment[0].vaddr == CODE && out.segment[1].vaddr == DATA, "in ascending order");
	ok(out.segment[0].flags == (ELF_R | ELF_X) && out.segment[1].flags == (ELF_R | ELF_W),
	   "with their rights");
	ok(out.segment[1].filesz == 0x100 && out.segment[1].memsz == 0x2100, "sizes");
	is_int((long long)out.segment[1].offset, 0x2000, "place in the file");
	ok(out.low == CODE && out.high == DATA + 0x3000 && out.entry == CODE + 16, "extent and entry");
	is_int(elf_extent(&f, sizeof(f), &extent), ELF_OK, "the file's extent");
	is_int((long long)extent, (long long)size, "does not count what is appended");
	is_int(elf_abi(&f, size, &abi), ELF_OK, "the ABI note behind another note");
	ok(abi.major == 7 && abi.minor == 9 && abi.features == 0x100000055, "its three values");
}

static void test_header_errors(void)
{
	f.eh.e_ident[1] = 'e';
	refused(ELF_MAGIC, "magic");
	f.eh.e_ident[4] = 1;
	refused(ELF_CLASS, "32-bit");
	f.eh.e_ident[5] = 2;
	refused(ELF_CLASS, "big-endian");
	f.eh.e_version = 2;
	refused(ELF_VERSION, "version");
	f.eh.e_machine = EM_AARCH64;
	refused(ELF_MACHINE, "machine");
	f.eh.e_type = ET_REL;
	refused(ELF_TYPE_OBJECT, "object");
	f.eh.e_type = ET_DYN;
	refused(ELF_TYPE_DYNAMIC, "shared");
	f.eh.e_type = ET_CORE;
	refused(ELF_TYPE, "core");
	f.eh.e_phentsize = 55;
	refused(ELF_PHDR_SIZE, "phentsize");
	f.eh.e_phnum = 65;
	refused(ELF_PHDR_COUNT, "65 headers");
	f.eh.e_phnum = 0xffff;
	refused(ELF_PHDR_COUNT, "65535 headers");
	f.eh.e_phnum = 0;
	refused(ELF_PHDR_COUNT, "no headers");
	f.eh.e_phoff = size - 1;
	refused(ELF_PHDR_PLACE, "headers beyond the end");
	f.eh.e_phoff = UINT64_MAX - 8;
	refused(ELF_PHDR_PLACE, "headers that wrap");
	f.ph[3].p_type = PT_INTERP;
	refused(ELF_INTERPRETER, "interpreter");
	f.ph[0].p_type = f.ph[1].p_type = PT_NULL;
	refused(ELF_SEGMENT_NONE, "nothing to load");
}

static void test_segment_errors(void)
{
	f.ph[0].p_filesz = 0x2101;
	refused(ELF_SEGMENT_SIZE, "file part too large");
	f.ph[0].p_offset = size - 1;
	refused(ELF_SEGMENT_FILE, "beyond the end");
	f.ph[0].p_offset = UINT64_MAX - 0xfff;
	refused(ELF_SEGMENT_FILE, "an offset that wraps");
	f.ph[0].p_memsz = UINT64_MAX - 0x1000;
	refused(ELF_SEGMENT_WRAP, "a size that wraps");
	f.ph[0].p_vaddr = UINT64_MAX - 0xfff;
	f.ph[0].p_memsz = 0xfff;
	f.ph[0].p_filesz = 0;
	refused(ELF_SEGMENT_WRAP, "the last page");
	f.ph[0].p_vaddr = LOW - 0x1000;
	refused(ELF_SEGMENT_WINDOW, "below the window");
	f.ph[0].p_memsz = HIGH - DATA + 1;
	refused(ELF_SEGMENT_WINDOW, "above the window");
	f.ph[0].p_vaddr += 8;
	refused(ELF_SEGMENT_ALIGN, "misaligned");
	f.ph[0].p_flags |= PF_X;
	refused(ELF_SEGMENT_WX, "writable and executable");
	f.ph[0].p_flags = 0;
	refused(ELF_SEGMENT_RIGHTS, "no rights");
	f.ph[1].p_memsz = 0x3000;
	refused(ELF_SEGMENT_OVERLAP, "overlap");
	f.ph[0].p_vaddr = CODE + 0x1000 - 0x10;
	f.ph[0].p_offset = 0x1ff0;
	f.ph[1].p_memsz = f.ph[1].p_filesz = 0xff0;
	refused(ELF_SEGMENT_OVERLAP, "a shared page");
	f.ph[0].p_vaddr = CODE;
	refused(ELF_SEGMENT_OVERLAP, "the same address");
	f.eh.e_entry = DATA;
	refused(ELF_ENTRY, "entry in data");
	f.eh.e_entry = CODE + 0x1000;
	refused(ELF_ENTRY, "entry behind the code");
	f.eh.e_entry = 0;
	refused(ELF_ENTRY, "no entry");
}

static void test_segment_count(void)
{
	static struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[17];
	} many;
	struct elf_image out;

	build();
	many.eh = f.eh;
	many.eh.e_phnum = 17;
	many.eh.e_shnum = 0;
	many.eh.e_entry = LOW;
	for (int i = 0; i < 17; i++)
		many.ph[i] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X,
					   .p_vaddr = LOW + 0x1000u * (16 - i),
					   .p_filesz = sizeof(many), .p_memsz = sizeof(many) };
	is_int(elf_load(&out, &many, sizeof(many), LOW, HIGH), ELF_SEGMENT_COUNT, "17 segments are too many");
	many.eh.e_phnum = 16;
	many.eh.e_entry = LOW + 0x1000;
	is_int(elf_load(&out, &many, sizeof(many), LOW, HIGH), ELF_OK, "16 are not");
	ok(out.low == LOW + 0x1000 && out.segment[15].vaddr == LOW + 0x10000, "in order");
}

static void test_other_errors(void)
{
	struct elf_abi abi;
	size_t extent;

	build();
	f.note.name[0] = 'X';
	is_int(elf_abi(&f, size, &abi), ELF_NOTE_NONE, "no Exo note");
	f.gnu.h.n_descsz = 0xfffffffc;
	is_int(elf_abi(&f, size, &abi), ELF_NOTE_BAD, "a note longer than its segment");
	build();
	f.note.h.n_descsz = 12;
	is_int(elf_abi(&f, size, &abi), ELF_NOTE_BAD, "an Exo note that is too short");
	build();
	f.eh.e_shentsize = 1;
	is_int(elf_extent(&f, size, &extent), ELF_SHDR_SIZE, "shentsize");
	f.eh.e_shentsize = 64;
	f.eh.e_shnum = 4097;
	is_int(elf_extent(&f, size, &extent), ELF_SHDR_COUNT, "4097 sections");
	f.eh.e_shnum = 5;
	f.eh.e_shoff = UINT64_MAX - 100;
	is_int(elf_extent(&f, size, &extent), ELF_SHDR_PLACE, "section headers that wrap");
	build();
	f.sh[4].sh_size = UINT64_MAX;
	is_int(elf_extent(&f, size, &extent), ELF_SECTION_FILE, "a section that wraps");
	f.sh[4].sh_type = SHT_NOBITS;
	is_int(elf_extent(&f, size, &extent), ELF_OK, "unless it has no bytes");
	is_string(elf_text((enum elf_status)9999), "unknown error", "the text of an unknown status");
}

static void names(uint64_t addr, const char *name, uint64_t offset)
{
	struct elf_symbol symbol = { .name = NULL };
	enum elf_status status = elf_symbol(&f, size, addr, &symbol);

	if (!name) {
		ok(status == ELF_SYMBOL_NONE, "no symbol at %#llx", (unsigned long long)addr);
		return;
	}
	is_text(symbol.name, symbol.name_len, name, name);
	is_int((long long)symbol.offset, (long long)offset, "and the offset in it");
}

static void test_symbols(void)
{
	build();
	names(CODE, NULL, 0);
	names(CODE + 16, "start", 0);
	names(CODE + 47, "start", 31);
	names(CODE + 48, NULL, 0);
	names(CODE + 64, "global", 0);
	names(CODE + 128 + 99, "nosize", 99);
	names(CODE + 513, "nosize", 385);
	names(DATA, "nosize", DATA - CODE - 128);
	f.sh[4].sh_size = 21;
	names(CODE + 65, "gl", 1);
	f.sh[4].sh_size = 19;
	names(CODE + 65, NULL, 0);
	f.sh[3].sh_size = 10;
	names(CODE + 16, NULL, 0);
}

static void test_damage(void)
{
	struct elf_image out;
	bool all = true;

	build();
	for (size_t i = 0; i < size; i += i < 400 ? 1 : 13)
		all = all && (load(i, &out) != ELF_OK || i >= 0x2100);
	ok(all, "cut at each byte: an error, and nothing is read outside");
	srand(1);
	for (int i = 0; i < 50000; i++) {
		build();
		for (int n = rand() % 6; n >= 0; n--) {
			size_t at = (size_t)rand() % (0x160 + sizeof(f) - 0x2100);

			((unsigned char *)&f)[at < 0x160 ? at : at - 0x160 + 0x2100] = (unsigned char)rand();
		}
		load(size, &out);
	}
	ok(true, "50000 damaged files, and nothing is read outside");
}

int main(void)
{
	test_good();
	test_header_errors();
	test_segment_errors();
	test_segment_count();
	test_other_errors();
	test_symbols();
	test_damage();
	return done();
}
