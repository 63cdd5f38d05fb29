/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of libos/core/elf: a small synthetic executable, one with fixed addresses and one that is
 * position-independent, then the same with one thing wrong for each error, cut at each byte, and damaged at
 * random. Images are copied to buffers of their exact size, so that
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
#define RELAS	(DATA - LOW + offsetof(__typeof__(f), rela) - offsetof(__typeof__(f), data))
#define WORDS	(DATA - LOW + offsetof(__typeof__(f), word) - offsetof(__typeof__(f), data))

static struct {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[6];
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
	char pad[0x1000 - 64 - 6 * 56 - 24 - 32];
	unsigned char code[0x1000];
	union {
		unsigned char data[0x100];
		struct {
			Elf64_Dyn dyn[6];
			Elf64_Rela rela[3];
			uint64_t word[4];
		};
	};
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

/* The same, position-independent: the first page of data has a dynamic section, relocations, and words. */
static void build_movable(void)
{
	build();
	f.eh.e_type = ET_DYN;
	f.eh.e_entry -= LOW;
	f.eh.e_phnum = 6;
	f.ph[0].p_vaddr -= LOW;
	f.ph[1].p_vaddr -= LOW;
	f.ph[4] = (Elf64_Phdr){ .p_type = PT_DYNAMIC, .p_flags = PF_R, .p_offset = 0x2000,
				.p_vaddr = DATA - LOW, .p_filesz = sizeof(f.dyn), .p_memsz = sizeof(f.dyn) };
	f.ph[5] = (Elf64_Phdr){ .p_type = PT_GNU_RELRO, .p_flags = PF_R, .p_offset = 0x2000,
				.p_vaddr = DATA - LOW, .p_filesz = 0x100, .p_memsz = 0x1000 };
	f.dyn[0] = (Elf64_Dyn){ DT_FLAGS_1, { DF_1_PIE } };
	f.dyn[1] = (Elf64_Dyn){ DT_RELA, { RELAS } };
	f.dyn[2] = (Elf64_Dyn){ DT_RELASZ, { sizeof(f.rela) } };
	f.dyn[3] = (Elf64_Dyn){ DT_RELAENT, { sizeof(f.rela[0]) } };
	f.dyn[4] = (Elf64_Dyn){ DT_PLTRELSZ, { 0 } };
	for (int i = 0; i < 3; i++)
		f.rela[i] = (Elf64_Rela){ WORDS + 8 * i, R_X86_64_RELATIVE, 0x1000 + i };
}

/* Run all functions on a copy of the first `bytes` bytes, one byte off any alignment. */
static enum elf_status load(size_t bytes, struct elf_image *out)
{
	unsigned char *copy = malloc(bytes + 1);
	enum elf_status status;
	struct elf_symbol symbol;
	struct elf_abi abi;
	size_t extent;

	memcpy(copy + 1, &f, bytes);
	status = elf_load(out, copy + 1, bytes, LOW, HIGH);
	if (status == ELF_OK) {
		char *to = malloc(24);

		elf_relocate(out, copy + 1, 1, to, WORDS, 24);
		free(to);
	}
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

static void refused_movable(enum elf_status wanted, const char *name)
{
	refused(wanted, name);
	build_movable();
}

static void test_movable(void)
{
	struct elf_image out;
	uint64_t copy[4] = { 9, 9, 9, 9 };

	build_movable();
	is_int(load(size, &out), ELF_OK, "a good position-independent executable");
	ok(out.movable && out.align == 4096 && out.relocs == 3, "movable, three relocations");
	is_int(out.count, 3, "three segments");
	ok(out.segment[1].flags == (ELF_R | ELF_RELRO) && out.segment[1].vaddr == DATA - LOW &&
	   out.segment[1].memsz == 0x1000 && out.segment[1].filesz == 0x100, "the part to protect");
	ok(out.segment[2].flags == (ELF_R | ELF_W) && out.segment[2].vaddr == DATA - LOW + 0x1000 &&
	   out.segment[2].memsz == 0x1100 && out.segment[2].filesz == 0, "the rest of its segment");
	elf_relocate(&out, &f, 0x7000, copy, WORDS, 32);
	ok(copy[0] == 0x8000 && copy[1] == 0x8001 && copy[2] == 0x8002 && copy[3] == 9, "relocated");
	elf_relocate(&out, &f, 0x9000, copy + 1, WORDS + 8, 8);
	ok(copy[0] == 0x8000 && copy[1] == 0xa001 && copy[2] == 0x8002, "a part of the words");
	f.ph[5].p_memsz = 0x3000;
	is_int(load(size, &out), ELF_OK, "all of a segment protected");
	ok(out.count == 2 && out.segment[1].flags == (ELF_R | ELF_RELRO) && out.segment[1].memsz == 0x2100,
	   "has one part");
	f.ph[5].p_memsz = 0xfff;
	is_int(load(size, &out), ELF_OK, "less than a page to protect");
	ok(out.count == 2 && out.segment[1].flags == (ELF_R | ELF_W), "protects nothing");
	f.ph[0].p_align = 0x4000;
	f.dyn[1].d_tag = DT_NULL;
	ok(load(size, &out) == ELF_OK && out.align == 0x4000 && !out.relocs, "alignment; no relocation");
	f.ph[4].p_type = f.ph[5].p_type = PT_NULL;
	is_int(load(size, &out), ELF_OK, "no dynamic section");
	build_movable();
	f.eh.e_type = ET_EXEC;
	f.eh.e_entry += LOW;
	f.ph[0].p_vaddr += LOW;
	f.ph[1].p_vaddr += LOW;
	f.ph[4].p_filesz = f.ph[4].p_memsz = f.ph[5].p_memsz = f.ph[5].p_filesz = 0;
	ok(load(size, &out) == ELF_OK && !out.movable && out.count == 2, "empty headers say nothing");
}

static void test_dynamic_errors(void)
{
	build_movable();
	f.ph[0].p_vaddr = HIGH - LOW - 0x1000;
	refused_movable(ELF_SEGMENT_WINDOW, "above the window of movable addresses");
	f.ph[0].p_align = 0x3000;
	refused_movable(ELF_ALIGNMENT, "alignment is no power of two");
	f.ph[0].p_align = 0x400000;
	refused_movable(ELF_ALIGNMENT, "alignment of 4 MiB");
	f.ph[3] = f.ph[4];
	refused_movable(ELF_DYNAMIC_COUNT, "two dynamic sections");
	f.ph[4].p_offset = size - 8;
	refused_movable(ELF_DYNAMIC_PLACE, "dynamic section beyond the end");
	f.ph[4].p_filesz = 0;
	refused_movable(ELF_DYNAMIC_PLACE, "dynamic section without bytes in the file");
	f.ph[4].p_filesz = 5 * sizeof(Elf64_Dyn);
	refused_movable(ELF_DYNAMIC_END, "dynamic section without an end");
	f.dyn[4] = f.dyn[1];
	refused_movable(ELF_DYNAMIC_TWICE, "two tables of relocations");
	f.dyn[0] = (Elf64_Dyn){ DT_NEEDED, { 1 } };
	refused_movable(ELF_NEEDED, "a shared library");
	f.dyn[0] = (Elf64_Dyn){ DT_TEXTREL, { 0 } };
	refused_movable(ELF_RELOC_TEXT, "text relocations");
	f.dyn[0] = (Elf64_Dyn){ DT_FLAGS, { DF_TEXTREL } };
	refused_movable(ELF_RELOC_TEXT, "text relocations, by flag");
	f.dyn[0] = (Elf64_Dyn){ DT_REL, { 0 } };
	refused_movable(ELF_RELOC_KIND, "relocations without addend");
	f.dyn[4].d_un.d_val = 24;
	refused_movable(ELF_RELOC_KIND, "relocations of a procedure linkage table");
	f.dyn[3].d_un.d_val = 16;
	refused_movable(ELF_RELOC_SIZE, "relocations of another size");
	f.dyn[2].d_un.d_val--;
	refused_movable(ELF_RELOC_SIZE, "a part of a relocation");
	f.dyn[2].d_un.d_val = 24ull << 21;
	refused_movable(ELF_RELOC_COUNT, "too many relocations");
	f.dyn[2].d_un.d_val = 24 * 8;
	refused_movable(ELF_RELOC_PLACE, "relocations beyond the file's part");
	f.dyn[1].d_un.d_val = UINT64_MAX - 8;
	refused_movable(ELF_RELOC_PLACE, "relocations that wrap");
	f.rela[1].r_info = R_X86_64_IRELATIVE;
	refused_movable(ELF_RELOC_KIND, "a relocation that calls");
	f.rela[1].r_info = ELF64_R_INFO(1ull, R_X86_64_RELATIVE);
	refused_movable(ELF_RELOC_KIND, "a relocation with a symbol");
	f.rela[2].r_offset = f.rela[1].r_offset;
	refused_movable(ELF_RELOC_ORDER, "the same word twice");
	f.rela[1].r_offset += 4;
	refused_movable(ELF_RELOC_TARGET, "not a word's address");
	f.rela[0].r_offset = CODE - LOW + 8;
	refused_movable(ELF_RELOC_TARGET, "a relocation of text");
	f.rela[2].r_offset = DATA - LOW + 0x100;
	refused_movable(ELF_RELOC_TARGET, "a relocation behind the file's part");
	f.rela[2].r_offset = UINT64_MAX - 7;
	refused_movable(ELF_RELOC_TARGET, "a relocation that wraps");
	f.ph[5].p_vaddr = CODE - LOW;
	refused_movable(ELF_PROTECT, "protection of text");
	f.ph[5].p_memsz = 0x4000;
	refused_movable(ELF_PROTECT, "protection beyond the segment");
	f.ph[5].p_vaddr += 0x1000;
	refused_movable(ELF_PROTECT, "protection in the middle of a segment");
	f.ph[5].p_memsz = UINT64_MAX;
	refused_movable(ELF_PROTECT, "protection that wraps");
	f.ph[3] = f.ph[5];
	refused_movable(ELF_PROTECT, "two parts to protect");
	build();
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
		if (i % 2)
			build_movable();
		else
			build();
		for (int n = rand() % 6; n >= 0; n--) {
			size_t at = (size_t)rand() % (0x1d0 + sizeof(f) - 0x2000);

			((unsigned char *)&f)[at < 0x1d0 ? at : at - 0x1d0 + 0x2000] = (unsigned char)rand();
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
	test_movable();
	test_dynamic_errors();
	test_segment_count();
	test_other_errors();
	test_symbols();
	test_damage();
	return done();
}
