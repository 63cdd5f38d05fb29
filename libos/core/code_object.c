/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of eBPF programs. See code_object.h; ELF: gABI chapters 4 and 5; relocations: the ABI document of LLVM's BPF
 * target (R_BPF_64_64 in lddw, whose immediate is the addend; R_BPF_64_32 in calls, whose immediate + 1 is one, in
 * instructions).
 *
 * The file may contain anything: headers are copied out before they are looked at, and a range is accepted only as
 * offset <= size && length <= size - offset.
 */
#include <stdbool.h>
#include <string.h>

#include "libos/core/code_object.h"

#define EM_BPF		247
#define ET_REL		1
#define SHT_PROGBITS	1
#define SHT_SYMTAB	2
#define SHT_NOBITS	8
#define SHT_RELA	4
#define SHT_REL		9
#define SHF_WRITE	1
#define SHF_ALLOC	2
#define SHF_EXECINSTR	4
#define R_BPF_64_64	1
#define R_BPF_64_32	10
#define LDDW		0x18
#define LDDW_WINDOW	6
#define CALL		0x85
#define CALL_LOCAL	1
#define PAGE		4096u

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

const char *code_status_text(enum code_status status)
{
	static const char *const texts[] = {
#define CODE_TEXT(name, text) text,
		CODE_ERRORS(CODE_TEXT)
#undef CODE_TEXT
	};

	return (unsigned)status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "unknown error";
}

static bool inside(uint64_t offset, uint64_t bytes, uint64_t size)
{
	return offset <= size && bytes <= size - offset;
}

/* --- sections ------------------------------------------------------------------------------------------- */

static struct shdr header_at(const struct code_object *object, uint32_t index)
{
	struct shdr header;

	memcpy(&header, object->file + object->headers_at + (uint64_t)index * sizeof(header), sizeof(header));
	return header;
}

/* The string at an offset of a string table that lies in the file; NULL: it has no end there. */
static const char *string_at(const struct code_object *object, uint64_t table, uint64_t bytes, uint64_t offset)
{
	const char *string = (const char *)object->file + table + offset;

	return offset < bytes && memchr(string, 0, bytes - offset) ? string : NULL;
}

/* The use that a section of this name is a program for; 0: none. */
static uint32_t use_of(const char *name)
{
	static const char *const names[] = { [EXO_USE_PACKET] = "packet", [EXO_USE_WAKE] = "wake",
		[EXO_USE_OWNER] = "owner" };
	uint32_t use;

	for (use = EXO_USE_PACKET; use <= EXO_USE_OWNER; use++)
		if (strcmp(name, names[use]) == 0)
			return use;
	return 0;
}

static uint8_t window_of(const struct shdr *header, const char *name)
{
	if (header->flags & SHF_EXECINSTR)
		return CODE_INSNS;
	if (!(header->flags & SHF_WRITE))
		return EXO_WINDOW_DATA;
	if (strncmp(name, "window", 6) == 0 && name[6] > '0' && name[6] < '0' + EXO_WINDOWS_OWN && !name[7])
		return (uint8_t)(name[6] - '0');
	return EXO_WINDOW_MEMORY;
}

/* The next place in a window for so many bytes; false: it does not fit. */
static bool place(uint32_t *end, uint64_t bytes, uint64_t align, uint32_t most, uint32_t *at)
{
	uint64_t start = (*end + align - 1) & ~(align - 1);

	if (bytes > most || start > most - bytes)
		return false;
	*at = (uint32_t)start;
	*end = (uint32_t)(start + bytes);
	return true;
}

static enum code_status section_add(struct code_object *object, uint32_t index, const struct shdr *header,
    const char *name, uint32_t *insn_bytes)
{
	struct code_section *section = &object->section[object->sections];
	uint64_t align = header->addralign ? header->addralign : 1;
	uint8_t window = window_of(header, name);

	if (object->sections == CODE_SECTIONS_MAX)
		return CODE_SECTION_COUNT;
	if (align & (align - 1) || align > PAGE)
		return CODE_SECTION_ALIGN;
	*section = (struct code_section){ (uint16_t)index, window, header->type == SHT_NOBITS, 0, header->offset,
		header->size };
	if (window == CODE_INSNS) {
		if (section->empty || header->size % sizeof(struct exo_insn))
			return CODE_INSN_PART;
		if (!place(insn_bytes, header->size, 8, EXO_INSNS_MAX * 8, &section->place))
			return CODE_INSN_COUNT;
	} else if (window == EXO_WINDOW_DATA) {
		if (!place(&object->header.data_bytes, header->size, align, EXO_CODE_DATA_MAX, &section->place))
			return CODE_DATA_SIZE;
	} else if (!place(&object->window_bytes[window], header->size, align, EXO_WINDOW_FRAMES_MAX * PAGE,
	    &section->place)) {
		return CODE_WINDOW_SIZE;
	}
	object->sections++;
	return CODE_OK;
}

/* One section header: the first time round only the program itself counts, which comes first, then all others. */
static enum code_status section_read(struct code_object *object, uint32_t index, const struct shdr *names, bool first,
    uint32_t *insn_bytes)
{
	struct shdr header = header_at(object, index);
	const char *name = string_at(object, names->offset, names->size, header.name);
	uint32_t use;

	if (header.type != SHT_NOBITS && !inside(header.offset, header.size, object->size))
		return CODE_SECTION_PLACE;
	if (header.type == SHT_SYMTAB && first) {
		struct shdr strings;

		if (header.entsize != sizeof(struct symbol) || header.link >= object->headers)
			return CODE_SYMBOLS;
		strings = header_at(object, header.link);
		if (!inside(strings.offset, strings.size, object->size))
			return CODE_SECTION_PLACE;
		object->symbols_at = header.offset;
		object->symbols = header.size / sizeof(struct symbol);
		object->strings_at = strings.offset;
		object->strings = strings.size;
	}
	if (!(header.flags & SHF_ALLOC) || (header.type != SHT_PROGBITS && header.type != SHT_NOBITS) || !header.size)
		return CODE_OK;
	if (!name)
		return CODE_SECTION_NAME;
	if (strcmp(name, ".eh_frame") == 0)
		return CODE_OK;
	use = header.flags & SHF_EXECINSTR ? use_of(name) : 0;
	if (!use != !first)
		return CODE_OK;
	if (use && object->header.use)
		return CODE_PROGRAMS;
	if (use)
		object->header.use = use;
	return section_add(object, index, &header, name, insn_bytes);
}

/* --- reading -------------------------------------------------------------------------------------------- */

static enum code_status read_header(struct code_object *object, struct shdr *names)
{
	struct ehdr header;

	if (object->size < sizeof(header))
		return CODE_SHORT;
	memcpy(&header, object->file, sizeof(header));
	if (memcmp(header.ident, "\177ELF\2\1\1", 7))
		return CODE_MAGIC;
	if (header.machine != EM_BPF)
		return CODE_MACHINE;
	if (header.type != ET_REL)
		return CODE_TYPE;
	if (header.shentsize != sizeof(struct shdr) || header.shstrndx >= header.shnum ||
	    !inside(header.shoff, (uint64_t)header.shnum * sizeof(struct shdr), object->size))
		return CODE_TABLE;
	object->headers_at = header.shoff;
	object->headers = header.shnum;
	*names = header_at(object, header.shstrndx);
	return inside(names->offset, names->size, object->size) ? CODE_OK : CODE_SECTION_PLACE;
}

enum code_status code_object_read(struct code_object *out, const void *file, size_t size)
{
	static const uint32_t fuel[] = { [EXO_USE_PACKET] = EXO_FUEL_PACKET, [EXO_USE_WAKE] = EXO_FUEL_WAKE,
		[EXO_USE_OWNER] = EXO_FUEL_OWNER };
	enum code_status status;
	uint32_t i, pass, insn_bytes = 0;
	struct shdr names;
	unsigned w;

	memset(out, 0, sizeof(*out));
	out->file = file;
	out->size = size;
	status = read_header(out, &names);
	for (pass = 0; pass < 2 && !status; pass++)
		for (i = 0; i < out->headers && !status; i++)
			status = section_read(out, i, &names, pass == 0, &insn_bytes);
	if (status)
		return status;
	if (!out->header.use)
		return CODE_NO_PROGRAM;
	out->header.version = EXO_CODE_VERSION;
	out->header.size = sizeof(out->header);
	out->header.insns = insn_bytes / sizeof(struct exo_insn);
	out->header.fuel = fuel[out->header.use];
	if (!out->header.insns || out->header.insns > EXO_INSNS_MAX)
		return CODE_INSN_COUNT;
	for (w = 0; w < EXO_WINDOWS_OWN; w++) {
		out->header.window[w].frames = (out->window_bytes[w] + PAGE - 1) / PAGE;
		out->header.window[w].flags = out->window_bytes[w] ? EXO_WINDOW_WRITE : 0;
	}
	return CODE_OK;
}

/* --- placing -------------------------------------------------------------------------------------------- */

static const struct code_section *section_of(const struct code_object *object, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < object->sections; i++)
		if (object->section[i].index == index)
			return &object->section[i];
	return NULL;
}

static enum code_status symbol_at(const struct code_object *object, uint64_t index, struct symbol *symbol,
    const struct code_section **section)
{
	if (index >= object->symbols)
		return CODE_SYMBOLS;
	memcpy(symbol, object->file + object->symbols_at + index * sizeof(*symbol), sizeof(*symbol));
	*section = section_of(object, symbol->section);
	return *section ? CODE_OK : CODE_RELOC_SYMBOL;
}

static enum code_status relocate(const struct code_object *object, const struct code_section *in,
    const struct reloc *reloc, struct exo_insn *insn)
{
	uint32_t at = (uint32_t)(in->place / sizeof(*insn)) + (uint32_t)(reloc->offset / sizeof(*insn));
	const struct code_section *to;
	struct symbol symbol;
	enum code_status status;
	int64_t target;

	if (reloc->offset % sizeof(*insn) || !inside(reloc->offset, sizeof(*insn), in->bytes))
		return CODE_RELOC_PLACE;
	status = symbol_at(object, reloc->info >> 32, &symbol, &to);
	if (status)
		return status;
	if (symbol.value > to->bytes)
		return CODE_RELOC_TARGET;
	switch ((uint32_t)reloc->info) {
	case R_BPF_64_64:
		if (insn[at].code != LDDW || !inside(reloc->offset, 2 * sizeof(*insn), in->bytes))
			return CODE_RELOC_PLACE;
		if (to->window == CODE_INSNS)
			return CODE_RELOC_WINDOW;
		target = (int64_t)symbol.value + insn[at].imm;
		if (target < 0 || target > (int64_t)to->bytes)
			return CODE_RELOC_TARGET;
		insn[at].regs = (uint8_t)((insn[at].regs & 15) | LDDW_WINDOW << 4);
		insn[at].imm = to->window;
		insn[at + 1].imm = (int32_t)(to->place + target);
		return CODE_OK;
	case R_BPF_64_32:
		if (insn[at].code != CALL || insn[at].regs >> 4 != CALL_LOCAL)
			return CODE_RELOC_PLACE;
		if (to->window != CODE_INSNS)
			return CODE_RELOC_WINDOW;
		target = (int64_t)symbol.value + ((int64_t)insn[at].imm + 1) * (int64_t)sizeof(*insn);
		if (target < 0 || target >= (int64_t)to->bytes || target % (int64_t)sizeof(*insn))
			return CODE_RELOC_TARGET;
		insn[at].imm = (int32_t)((int64_t)((to->place + (uint64_t)target) / sizeof(*insn)) - at - 1);
		return CODE_OK;
	default:
		return CODE_RELOC_KIND;
	}
}

static enum code_status relocate_all(const struct code_object *object, struct exo_insn *insn)
{
	const struct code_section *in;
	enum code_status status = CODE_OK;
	struct reloc reloc;
	struct shdr header;
	uint64_t n;
	uint32_t i;

	for (i = 0; i < object->headers && !status; i++) {
		header = header_at(object, i);
		if (header.type != SHT_REL && header.type != SHT_RELA)
			continue;
		in = section_of(object, header.info);
		if (!in || !header.size)
			continue;
		if (in->window != CODE_INSNS)
			return CODE_RELOC_DATA;
		if (header.type == SHT_RELA || header.entsize != sizeof(reloc))
			return CODE_RELOC_SIZE;
		for (n = 0; n < header.size / sizeof(reloc) && !status; n++) {
			memcpy(&reloc, object->file + header.offset + n * sizeof(reloc), sizeof(reloc));
			status = relocate(object, in, &reloc, insn);
		}
	}
	return status;
}

enum code_status code_object_place(const struct code_object *object, struct exo_insn *insn, uint8_t *data,
    uint8_t *const window[EXO_WINDOWS_OWN])
{
	const struct code_section *section;
	uint32_t i;
	uint8_t *to;

	memset(data, 0, object->header.data_bytes);
	for (i = 0; i < object->sections; i++) {
		section = &object->section[i];
		to = section->window == CODE_INSNS ? (uint8_t *)insn :
		    section->window == EXO_WINDOW_DATA ? data : window ? window[section->window] : NULL;
		if (to && !section->empty)
			memcpy(to + section->place, object->file + section->offset, section->bytes);
	}
	return relocate_all(object, insn);
}

uint32_t code_object_variable(const struct code_object *object, const char *name, unsigned *window, uint32_t *offset)
{
	const struct code_section *section;
	struct symbol symbol;
	const char *at;
	uint64_t i;

	for (i = 0; i < object->symbols; i++) {
		if (symbol_at(object, i, &symbol, &section) || section->window >= EXO_WINDOWS_OWN ||
		    !inside(symbol.value, symbol.size, section->bytes))
			continue;
		at = string_at(object, object->strings_at, object->strings, symbol.name);
		if (!at || strcmp(at, name))
			continue;
		*window = section->window;
		*offset = section->place + (uint32_t)symbol.value;
		return (uint32_t)symbol.size;
	}
	return 0;
}
