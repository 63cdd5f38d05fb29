/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF64 x86-64 executables in memory (System V ABI, gABI chapters 4 and 5). See elf.h.
 *
 * The image may lie at any address and contain anything: headers are copied out before they are looked
 * at (no alignment is assumed, no field is read twice), and a range is accepted only as offset <= size
 * && length <= size - offset, which cannot wrap.
 */
#include <string.h>

#include "libos/core/elf.h"

#define PAGE	4096u

#define ET_REL		1
#define ET_EXEC		2
#define ET_DYN		3
#define EM_X86_64	62
#define PT_LOAD		1
#define PT_DYNAMIC	2
#define PT_INTERP	3
#define PT_NOTE		4
#define PT_GNU_RELRO	0x6474e552
#define DT_NULL		0
#define DT_NEEDED	1
#define DT_PLTRELSZ	2
#define DT_RELA		7
#define DT_RELASZ	8
#define DT_RELAENT	9
#define DT_REL		17
#define DT_TEXTREL	22
#define DT_FLAGS	30
#define DT_RELR		36
#define DF_TEXTREL	4
#define R_X86_64_RELATIVE 8
#define SHT_NULL	0
#define SHT_SYMTAB	2
#define SHT_NOBITS	8
#define SHN_LORESERVE	0xff00
#define SHF_EXECINSTR	4
#define STT_NOTYPE	0
#define STT_FUNC	2
#define STB_LOCAL	0

struct ehdr {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct shdr {
	uint32_t name, type;
	uint64_t flags, addr, offset, size;
	uint32_t link, info;
	uint64_t addralign, entsize;
};

struct sym {
	uint32_t name;
	uint8_t info, other;
	uint16_t shndx;
	uint64_t value, size;
};

struct dyn {
	uint64_t tag, value;
};

struct rela {
	uint64_t target, info, addend;
};

_Static_assert(sizeof(struct dyn) == 16 && sizeof(struct rela) == 24, "as in the gABI");
_Static_assert(sizeof(struct ehdr) == 64 && sizeof(struct phdr) == 56, "as in the gABI");
_Static_assert(sizeof(struct shdr) == 64 && sizeof(struct sym) == 24, "as in the gABI");

struct file {
	const unsigned char *base;
	size_t size;
	struct ehdr eh;
};

const char *elf_text(enum elf_status status)
{
	static const char *const texts[] = {
#define ELF_TEXT(name, text) [name] = text,
		ELF_ERRORS(ELF_TEXT)
#undef ELF_TEXT
	};

	return (unsigned)status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "unknown error";
}

static int inside(const struct file *f, uint64_t offset, uint64_t length)
{
	return offset <= f->size && length <= f->size - offset;
}

static void read_phdr(const struct file *f, unsigned i, struct phdr *ph)
{
	memcpy(ph, f->base + f->eh.phoff + i * sizeof(*ph), sizeof(*ph));
}

static void read_shdr(const struct file *f, unsigned i, struct shdr *sh)
{
	memcpy(sh, f->base + f->eh.shoff + i * sizeof(*sh), sizeof(*sh));
}

static enum elf_status open_headers(struct file *f, const void *image, size_t size)
{
	static const uint8_t magic[4] = { 0x7f, 'E', 'L', 'F' };
	struct ehdr *eh = &f->eh;

	f->base = image;
	f->size = size;
	if (size < sizeof(magic) || memcmp(image, magic, sizeof(magic)))
		return ELF_MAGIC;
	if (size < sizeof(*eh))
		return ELF_SHORT;
	memcpy(eh, image, sizeof(*eh));
	if (eh->ident[4] != 2 || eh->ident[5] != 1)
		return ELF_CLASS;
	if (eh->ident[6] != 1 || eh->version != 1)
		return ELF_VERSION;
	if (eh->machine != EM_X86_64)
		return ELF_MACHINE;
	if (eh->phnum && eh->phentsize != sizeof(struct phdr))
		return ELF_PHDR_SIZE;
	if (eh->phnum > ELF_HEADERS_MAX)
		return ELF_PHDR_COUNT;
	if (eh->phnum && !inside(f, eh->phoff, eh->phnum * sizeof(struct phdr)))
		return ELF_PHDR_PLACE;
	return ELF_OK;
}

/* Section headers are not needed to run a program, so only those who want them ask. */
static enum elf_status open_sections(const struct file *f)
{
	const struct ehdr *eh = &f->eh;

	if (eh->shnum && eh->shentsize != sizeof(struct shdr))
		return ELF_SHDR_SIZE;
	if (eh->shnum > ELF_SECTIONS_MAX)
		return ELF_SHDR_COUNT;
	if (eh->shnum && !inside(f, eh->shoff, eh->shnum * sizeof(struct shdr)))
		return ELF_SHDR_PLACE;
	return ELF_OK;
}

static enum elf_status check_type(const struct ehdr *eh)
{
	switch (eh->type) {
	case ET_EXEC:
	case ET_DYN:
		return eh->phnum ? ELF_OK : ELF_PHDR_COUNT;
	case ET_REL:
		return ELF_TYPE_OBJECT;
	}
	return ELF_TYPE;
}

static enum elf_status check_segment(const struct file *f, const struct phdr *ph, uint64_t low, uint64_t high)
{
	if (ph->filesz > ph->memsz)
		return ELF_SEGMENT_SIZE;
	if (!inside(f, ph->offset, ph->filesz))
		return ELF_SEGMENT_FILE;
	if (ph->vaddr + ph->memsz < ph->vaddr || ph->vaddr + ph->memsz > UINT64_MAX - PAGE)
		return ELF_SEGMENT_WRAP;
	if (ph->vaddr < low || ph->vaddr + ph->memsz > high)
		return ELF_SEGMENT_WINDOW;
	if ((ph->vaddr ^ ph->offset) % PAGE)
		return ELF_SEGMENT_ALIGN;
	if (ph->align & (ph->align - 1) || ph->align > ELF_ALIGN_MAX)
		return ELF_ALIGNMENT;
	if ((ph->flags & ELF_W) && (ph->flags & ELF_X))
		return ELF_SEGMENT_WX;
	if (!(ph->flags & ELF_R))
		return ELF_SEGMENT_RIGHTS;
	return ELF_OK;
}

static uint64_t page_down(uint64_t addr)
{
	return addr & -(uint64_t)PAGE;
}

static uint64_t page_up(uint64_t addr)
{
	return page_down(addr + PAGE - 1);
}

static uint64_t end_of(const struct elf_segment *s)
{
	return s->vaddr + s->memsz;
}

/* Keep the list in ascending order; the newcomer must share no page with its neighbours. */
static enum elf_status insert(struct elf_image *out, const struct phdr *ph)
{
	struct elf_segment new = {
		.vaddr = ph->vaddr, .memsz = ph->memsz, .offset = ph->offset, .filesz = ph->filesz,
		.flags = ph->flags & (ELF_R | ELF_W | ELF_X),
	};
	unsigned i = out->count;

	if (out->count == ELF_SEGMENTS_MAX)
		return ELF_SEGMENT_COUNT;
	while (i && out->segment[i - 1].vaddr > new.vaddr) {
		out->segment[i] = out->segment[i - 1];
		i--;
	}
	out->segment[i] = new;
	out->count++;
	if (i && page_up(end_of(&out->segment[i - 1])) > page_down(new.vaddr))
		return ELF_SEGMENT_OVERLAP;
	if (i + 1 < out->count && page_up(end_of(&new)) > page_down(out->segment[i + 1].vaddr))
		return ELF_SEGMENT_OVERLAP;
	return ELF_OK;
}

static int entry_ok(const struct elf_image *out)
{
	for (unsigned i = 0; i < out->count; i++) {
		const struct elf_segment *s = &out->segment[i];

		/* Code is in the file: an entry in the zeroed tail is no code. */
		if ((s->flags & ELF_X) && out->entry >= s->vaddr && out->entry - s->vaddr < s->filesz)
			return 1;
	}
	return 0;
}

/* Headers other than those of segments; an empty one says nothing. */
struct more {
	struct phdr dynamic, protect;
};

static enum elf_status read_segments(const struct file *f, struct elf_image *out, struct more *more,
				     uint64_t low, uint64_t high)
{
	for (unsigned i = 0; i < f->eh.phnum; i++) {
		enum elf_status status;
		struct phdr ph;

		read_phdr(f, i, &ph);
		if (ph.type == PT_INTERP)
			return ELF_INTERPRETER;
		if (!ph.memsz && !ph.filesz)
			continue;
		if (ph.type == PT_DYNAMIC) {
			if (more->dynamic.filesz)
				return ELF_DYNAMIC_COUNT;
			if (!ph.filesz || !inside(f, ph.offset, ph.filesz))
				return ELF_DYNAMIC_PLACE;
			more->dynamic = ph;
		} else if (ph.type == PT_GNU_RELRO) {
			if (more->protect.memsz || !ph.memsz || ph.vaddr + ph.memsz < ph.vaddr)
				return ELF_PROTECT;
			more->protect = ph;
		}
		if (ph.type != PT_LOAD)
			continue;
		status = check_segment(f, &ph, low, high);
		if (!status)
			status = insert(out, &ph);
		if (status)
			return status;
		if (ph.align > out->align)
			out->align = ph.align;
	}
	return out->count ? ELF_OK : ELF_SEGMENT_NONE;
}

/* --- what is not writable once it is relocated ------------------------------------------------------- */

/* Whole pages at the beginning of a writable segment become a segment of their own. */
static enum elf_status protect(struct elf_image *out, const struct phdr *ph)
{
	uint64_t start = page_down(ph->vaddr), end = page_down(ph->vaddr + ph->memsz);
	struct elf_segment *s = out->segment, *rest;

	if (start >= end)
		return ELF_OK;
	while (page_down(s->vaddr) != start || !(s->flags & ELF_W))
		if (++s == out->segment + out->count)
			return ELF_PROTECT;
	if (end > page_up(end_of(s)))
		return ELF_PROTECT;
	if (end < end_of(s)) {
		if (out->count == ELF_SEGMENTS_MAX)
			return ELF_SEGMENT_COUNT;
		rest = s + 1;
		memmove(rest, s, (size_t)(out->segment + out->count - s) * sizeof(*s));
		out->count++;
		s->memsz = end - s->vaddr;
		s->filesz = s->filesz < s->memsz ? s->filesz : s->memsz;
		rest->vaddr = end;
		rest->offset += s->memsz;
		rest->memsz -= s->memsz;
		rest->filesz -= s->filesz;
		if (!rest->filesz)
			rest->offset = 0;	/* nothing of it is in the file */
	}
	s->flags = ELF_R | ELF_RELRO;
	return ELF_OK;
}

/* --- relocations ------------------------------------------------------------------------------------- */

static void read_rela(const void *image, const struct elf_image *elf, uint32_t i, struct rela *rela)
{
	memcpy(rela, (const unsigned char *)image + elf->relocs_at + i * sizeof(*rela), sizeof(*rela));
}

/* The segment in whose part of the file these addresses lie; NULL: none. */
static const struct elf_segment *segment_of(const struct elf_image *out, uint64_t vaddr, uint64_t length)
{
	for (unsigned i = 0; i < out->count; i++) {
		const struct elf_segment *s = &out->segment[i];

		if (vaddr >= s->vaddr && vaddr - s->vaddr <= s->filesz &&
		    length <= s->filesz - (vaddr - s->vaddr))
			return s;
	}
	return NULL;
}

/* What the dynamic section says about relocations: *table, its bytes, and the size of one. */
static enum elf_status read_dynamic(const struct file *f, const struct phdr *ph, uint64_t *table,
				    uint64_t *bytes, uint64_t *each)
{
	uint64_t count = ph->filesz / sizeof(struct dyn), seen = 0;
	struct dyn dyn = { DT_NEEDED, 0 };

	for (uint64_t i = 0; i < count && i < ELF_DYNAMIC_MAX; i++) {
		memcpy(&dyn, f->base + ph->offset + i * sizeof(dyn), sizeof(dyn));
		if (dyn.tag == DT_NULL)
			return ELF_OK;
		if (dyn.tag == DT_NEEDED)
			return ELF_NEEDED;
		if (dyn.tag == DT_TEXTREL || (dyn.tag == DT_FLAGS && dyn.value & DF_TEXTREL))
			return ELF_RELOC_TEXT;
		if (dyn.tag == DT_REL || dyn.tag == DT_RELR || (dyn.tag == DT_PLTRELSZ && dyn.value))
			return ELF_RELOC_KIND;
		if (dyn.tag != DT_RELA && dyn.tag != DT_RELASZ && dyn.tag != DT_RELAENT)
			continue;
		if (seen & 1u << dyn.tag)
			return ELF_DYNAMIC_TWICE;
		seen |= 1u << dyn.tag;
		*(dyn.tag == DT_RELA ? table : dyn.tag == DT_RELASZ ? bytes : each) = dyn.value;
	}
	return ELF_DYNAMIC_END;
}

static enum elf_status check_relocs(const struct file *f, const struct elf_image *out)
{
	const struct elf_segment *s = out->segment;
	uint64_t next = 0;

	for (uint32_t i = 0; i < out->relocs; i++) {
		struct rela rela;

		read_rela(f->base, out, i, &rela);
		if (rela.info != R_X86_64_RELATIVE)
			return ELF_RELOC_KIND;
		if (rela.target < next)
			return ELF_RELOC_ORDER;
		if (rela.target % 8 || rela.target > UINT64_MAX - 8)
			return ELF_RELOC_TARGET;
		next = rela.target + 8;
		if (rela.target < s->vaddr || next > s->vaddr + s->filesz)
			s = segment_of(out, rela.target, 8);
		if (!s || !(s->flags & (ELF_W | ELF_RELRO)))
			return ELF_RELOC_TARGET;
	}
	return ELF_OK;
}

static enum elf_status find_relocs(const struct file *f, struct elf_image *out, const struct phdr *dynamic)
{
	uint64_t table = 0, bytes = 0, each = sizeof(struct rela);
	enum elf_status status = read_dynamic(f, dynamic, &table, &bytes, &each);
	const struct elf_segment *s;

	if (status || !bytes)
		return status;
	if (each != sizeof(struct rela) || bytes % each)
		return ELF_RELOC_SIZE;
	if (bytes / each > ELF_RELOCS_MAX)
		return ELF_RELOC_COUNT;
	s = segment_of(out, table, bytes);
	if (!s)
		return ELF_RELOC_PLACE;
	out->relocs_at = s->offset + (table - s->vaddr);
	out->relocs = (uint32_t)(bytes / each);
	return check_relocs(f, out);
}

void elf_relocate(const struct elf_image *elf, const void *image, uint64_t base, void *to, uint64_t from,
		  size_t bytes)
{
	uint32_t low = 0, high = elf->relocs;
	struct rela rela;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		read_rela(image, elf, middle, &rela);
		if (rela.target < from)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < elf->relocs; low++) {
		uint64_t value;

		read_rela(image, elf, low, &rela);
		if (rela.target < from || rela.target - from >= bytes || bytes - (rela.target - from) < 8)
			break;
		value = base + rela.addend;
		memcpy((char *)to + (rela.target - from), &value, sizeof(value));
	}
}

enum elf_status elf_load(struct elf_image *out, const void *image, size_t size, uint64_t low, uint64_t high)
{
	struct more more = { .dynamic = { .type = PT_DYNAMIC } };
	struct file f;
	enum elf_status status = open_headers(&f, image, size);

	if (!status)
		status = check_type(&f.eh);
	if (status)
		return status;
	memset(out, 0, sizeof(*out));
	out->entry = f.eh.entry;
	out->align = PAGE;
	out->movable = f.eh.type == ET_DYN;
	status = read_segments(&f, out, &more, out->movable ? 0 : low, out->movable ? high - low : high);
	if (status)
		return status;
	if (!entry_ok(out))
		return ELF_ENTRY;
	out->low = page_down(out->segment[0].vaddr);
	out->high = page_up(end_of(&out->segment[out->count - 1]));
	if (more.protect.memsz)
		status = protect(out, &more.protect);
	if (!status && more.dynamic.filesz)
		status = find_relocs(&f, out, &more.dynamic);
	return status;
}

static void extend(size_t *end, uint64_t offset, uint64_t length)
{
	if (offset + length > *end)
		*end = (size_t)(offset + length);
}

enum elf_status elf_extent(const void *image, size_t size, size_t *bytes)
{
	struct file f;
	size_t end = sizeof(f.eh);
	enum elf_status status = open_headers(&f, image, size);

	if (!status)
		status = open_sections(&f);
	if (status)
		return status;
	if (f.eh.phnum)
		extend(&end, f.eh.phoff, f.eh.phnum * sizeof(struct phdr));
	if (f.eh.shnum)
		extend(&end, f.eh.shoff, f.eh.shnum * sizeof(struct shdr));
	for (unsigned i = 0; i < f.eh.phnum; i++) {
		struct phdr ph;

		read_phdr(&f, i, &ph);
		if (!inside(&f, ph.offset, ph.filesz))
			return ELF_SEGMENT_FILE;
		if (ph.filesz)
			extend(&end, ph.offset, ph.filesz);
	}
	for (unsigned i = 0; i < f.eh.shnum; i++) {
		struct shdr sh;

		read_shdr(&f, i, &sh);
		if (sh.type == SHT_NULL || sh.type == SHT_NOBITS || !sh.size)
			continue;
		if (!inside(&f, sh.offset, sh.size))
			return ELF_SECTION_FILE;
		extend(&end, sh.offset, sh.size);
	}
	*bytes = end;
	return ELF_OK;
}

/* Look for an Exo note in one note segment: 4-byte aligned (namesz, descsz, type, name, desc) entries. */
static enum elf_status scan_notes(const unsigned char *p, size_t left, uint32_t type, const unsigned char **found)
{
	while (left >= 12) {
		uint32_t head[3];
		uint64_t name, desc;

		memcpy(head, p, sizeof(head));
		name = ((uint64_t)head[0] + 3) & ~3ull;
		desc = ((uint64_t)head[1] + 3) & ~3ull;
		if (name > left - 12 || desc > left - 12 - name)
			return ELF_NOTE_BAD;
		if (head[0] == sizeof(ELF_NOTE_EXO) && head[2] == type &&
		    !memcmp(p + 12, ELF_NOTE_EXO, sizeof(ELF_NOTE_EXO))) {
			*found = p + 12 + name;
			return head[1] < 16 ? ELF_NOTE_BAD : ELF_OK;
		}
		p += 12 + name + desc;
		left -= (size_t)(12 + name + desc);
	}
	return ELF_NOTE_NONE;
}

/* The 16 bytes of the first note of a type, and the address that they have. */
static enum elf_status find_note(const void *image, size_t size, uint32_t type, const unsigned char **found,
				 uint64_t *vaddr)
{
	struct file f;
	enum elf_status status = open_headers(&f, image, size);

	if (status)
		return status;
	for (unsigned i = 0; i < f.eh.phnum; i++) {
		struct phdr ph;

		read_phdr(&f, i, &ph);
		if (ph.type != PT_NOTE)
			continue;
		if (!inside(&f, ph.offset, ph.filesz))
			return ELF_SEGMENT_FILE;
		status = scan_notes(f.base + ph.offset, (size_t)ph.filesz, type, found);
		if (status == ELF_OK)
			*vaddr = ph.vaddr + (uint64_t)(*found - (f.base + ph.offset));
		if (status != ELF_NOTE_NONE)
			return status;
	}
	return ELF_NOTE_NONE;
}

enum elf_status elf_abi(const void *image, size_t size, struct elf_abi *abi)
{
	const unsigned char *note;
	uint64_t vaddr;
	enum elf_status status = find_note(image, size, ELF_NOTE_EXO_ABI, &note, &vaddr);

	if (status)
		return status;
	memcpy(&abi->major, note, 4);
	memcpy(&abi->minor, note + 4, 4);
	memcpy(&abi->features, note + 8, 8);
	return ELF_OK;
}

enum elf_status elf_process(const void *image, size_t size, struct elf_process *process)
{
	const unsigned char *note;
	uint64_t vaddr;
	int32_t from[2];
	enum elf_status status = find_note(image, size, ELF_NOTE_EXO_PROCESS, &note, &vaddr);

	if (status)
		return status;
	memcpy(&process->major, note, 4);
	memcpy(&process->minor, note + 4, 4);
	memcpy(from, note + 8, 8);
	process->wired = vaddr + 8 + (uint64_t)(int64_t)from[0];
	process->wired_end = vaddr + 12 + (uint64_t)(int64_t)from[1];
	return process->wired > process->wired_end || (process->wired | process->wired_end) % PAGE ? ELF_NOTE_BAD : ELF_OK;
}

/* Is `a` a better answer than `b` for an address that both may contain? */
static int better(const struct sym *a, const struct sym *b)
{
	int a_function = (a->info & 15) == STT_FUNC, b_function = (b->info & 15) == STT_FUNC;

	if (a->value != b->value)
		return a->value > b->value;
	if (a_function != b_function)
		return a_function;
	return a->info >> 4 != STB_LOCAL && b->info >> 4 == STB_LOCAL;
}

static int is_code(const struct file *f, const struct sym *s)
{
	struct shdr sh;

	if ((s->info & 15) != STT_FUNC && (s->info & 15) != STT_NOTYPE)
		return 0;
	if (!s->name || !s->shndx || s->shndx >= SHN_LORESERVE || s->shndx >= f->eh.shnum)
		return 0;
	read_shdr(f, s->shndx, &sh);
	return (sh.flags & SHF_EXECINSTR) != 0;
}

static int name_symbol(const struct file *f, const struct shdr *names, const struct sym *s,
		       struct elf_symbol *symbol)
{
	const char *start, *end;
	size_t max;

	if (s->name >= names->size)
		return 0;
	start = (const char *)f->base + names->offset + s->name;
	max = (size_t)(names->size - s->name);
	if (max > ELF_NAME_MAX)
		max = ELF_NAME_MAX;
	end = memchr(start, 0, max);
	symbol->name = start;
	symbol->name_len = end ? (size_t)(end - start) : max;
	return 1;
}

static enum elf_status scan_symbols(const struct file *f, const struct shdr *table, const struct shdr *names,
				    uint64_t addr, struct elf_symbol *symbol)
{
	struct sym best = { .name = 0 };

	for (uint64_t at = 0; table->size - at >= sizeof(struct sym); at += sizeof(struct sym)) {
		struct sym s;

		memcpy(&s, f->base + table->offset + at, sizeof(s));
		if (s.value > addr || (s.size && addr - s.value >= s.size))
			continue;
		if ((!best.name || better(&s, &best)) && is_code(f, &s))
			best = s;
	}
	if (!best.name || !name_symbol(f, names, &best, symbol))
		return ELF_SYMBOL_NONE;
	symbol->offset = addr - best.value;
	return ELF_OK;
}

enum elf_status elf_symbol(const void *image, size_t size, uint64_t addr, struct elf_symbol *symbol)
{
	struct file f;
	enum elf_status status = open_headers(&f, image, size);

	if (!status)
		status = open_sections(&f);
	if (status)
		return status;
	for (unsigned i = 0; i < f.eh.shnum; i++) {
		struct shdr table, names;

		read_shdr(&f, i, &table);
		if (table.type != SHT_SYMTAB)
			continue;
		if (table.link >= f.eh.shnum)
			return ELF_SECTION_FILE;
		read_shdr(&f, table.link, &names);
		if (!inside(&f, table.offset, table.size) || !inside(&f, names.offset, names.size))
			return ELF_SECTION_FILE;
		return scan_symbols(&f, &table, &names, addr, symbol);
	}
	return ELF_SYMBOL_NONE;
}
