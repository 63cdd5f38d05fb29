/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs as `clang -target bpf -c` leaves them: ELF64 relocatable objects, in memory. Pure: reads only what it is given,
 * allocates nothing, needs only string.h; used on the host, too.
 *
 * Section "packet", "wake" or "owner" is the program; other sections with instructions (".text") are functions it calls.
 * Constants become the program's constants (EXO_WINDOW_DATA); variables (.data, .bss) lie in window 0 from offset 0 on,
 * those of sections "window1" to "window3" in these windows. What the kernel shall make of it is not judged here: only
 * that the object is one, and that every reference in it leads somewhere.
 */
#ifndef LIBOS_CORE_CODE_OBJECT_H
#define LIBOS_CORE_CODE_OBJECT_H

#include <stddef.h>
#include <stdint.h>
#include <exo/code.h>

#define CODE_SECTIONS_MAX	48	/* that go into a program */

#define CODE_ERRORS(E) \
	E(CODE_OK,		"no error") \
	E(CODE_SHORT,		"too short for an ELF header") \
	E(CODE_MAGIC,		"not a little-endian 64-bit ELF file") \
	E(CODE_MACHINE,		"not for eBPF: compile with clang -target bpf") \
	E(CODE_TYPE,		"not an object file: compile with -c") \
	E(CODE_TABLE,		"section headers of unknown size, or outside the file") \
	E(CODE_SECTION_PLACE,	"a section lies outside the file: truncated?") \
	E(CODE_SECTION_NAME,	"a section has no name") \
	E(CODE_SECTION_COUNT,	"too many sections") \
	E(CODE_SECTION_ALIGN,	"a section's alignment is no power of two up to a page") \
	E(CODE_NO_PROGRAM,	"no section \"packet\", \"wake\" or \"owner\": mark the program with EXO_PROGRAM") \
	E(CODE_PROGRAMS,	"more than one program in one file") \
	E(CODE_INSN_PART,	"a section of instructions has a part of one") \
	E(CODE_INSN_COUNT,	"too many instructions, or none") \
	E(CODE_DATA_SIZE,	"too many constants") \
	E(CODE_WINDOW_SIZE,	"too many variables for a window") \
	E(CODE_SYMBOLS,		"no symbol table, or a bad one") \
	E(CODE_RELOC_SIZE,	"relocations of unknown size") \
	E(CODE_RELOC_PLACE,	"a relocation of something that is no instruction") \
	E(CODE_RELOC_DATA,	"a variable or constant holds an address: programs cannot keep addresses there") \
	E(CODE_RELOC_KIND,	"a relocation of a kind that programs have no use for") \
	E(CODE_RELOC_SYMBOL,	"a reference to something that is not in this file") \
	E(CODE_RELOC_TARGET,	"a reference that leads outside its section") \
	E(CODE_RELOC_WINDOW,	"the address of a function is taken, or an instruction called")

enum code_status {
#define CODE_ENUM(name, text) name,
	CODE_ERRORS(CODE_ENUM)
#undef CODE_ENUM
};

/* The text of a status; never NULL. */
const char *code_status_text(enum code_status status);

struct code_section {
	uint16_t index;		/* in the file */
	uint8_t window;		/* EXO_WINDOW_*, or CODE_INSNS */
	uint8_t empty;		/* nothing in the file: zeros */
	uint32_t place;		/* bytes from the window's start, or from the first instruction */
	uint64_t offset, bytes;	/* in the file */
};
#define CODE_INSNS	0xff

/* What an object holds. */
struct code_object {
	struct exo_code header;	/* filled in, with the most fuel that its use allows; windows 0..3 as its variables need */
	uint32_t window_bytes[EXO_WINDOWS_OWN];
	const uint8_t *file;
	size_t size;
	uint64_t symbols_at, symbols, strings_at, strings;
	uint64_t headers_at;
	uint32_t headers;
	uint32_t sections;
	struct code_section section[CODE_SECTIONS_MAX];
};

/* Look through an object. Cost: one step for each section. */
enum code_status code_object_read(struct code_object *out, const void *file, size_t size);
/* Write its instructions (header.insns), constants (header.data_bytes) and the first values of its variables, whose
 * memory is zeroed already (window_bytes[], NULL: leave them out). Cost: one step for each relocation. */
enum code_status code_object_place(const struct code_object *object, struct exo_insn *insn, uint8_t *data,
    uint8_t *const window[EXO_WINDOWS_OWN]);
/* A variable by name: its window and offset there. Returns its bytes; 0: there is none. */
uint32_t code_object_variable(const struct code_object *object, const char *name, unsigned *window, uint32_t *offset);

#endif
