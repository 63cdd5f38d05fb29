/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start record: how a new environment learns what it holds, and where its creator has mapped the shared pages.
 *
 * The kernel writes it for the first environment; every creator writes the same for its children. Addresses below are
 * a convention between creators and libOSes: the kernel follows them for the first environment and never again.
 * The first upcall goes to the dispatcher page's run_entry with no stack: the libOS's start code brings its own.
 */
#ifndef EXO_START_H
#define EXO_START_H

#include <exo/types.h>

#define EXO_VA_DISP	0x10000		/* dispatcher page, read-write */
#define EXO_VA_ARG	0x11000		/* argument frame, read-write */
#define EXO_VA_START	0x12000		/* start record, read-write */
#define EXO_VA_CAPS	0x20000		/* capability table, read-only, up to 64 frames */
#define EXO_VA_INFO	0x100000	/* frame 0 of the exposed pages, read-only */
#define EXO_VA_IMAGE	0x400000	/* programs with fixed addresses are linked here */

#define EXO_START_MAGIC		0x5452415453584f45	/* "EOXSTART" */
#define EXO_START_VERSION	1
#define EXO_START_SLOTS_MAX	64
#define EXO_START_NAME		16

/* Names of capabilities that the first environment finds, in slots from 1 on; children get those that theirs is given. */
#define EXO_NAME_ENV		"env"		/* itself */
#define EXO_NAME_SPACE		"space"		/* its own space */
#define EXO_NAME_ACCOUNT	"account"	/* root account */
#define EXO_NAME_SELF		"self"		/* the frames it was made of */
#define EXO_NAME_INFO		"info"		/* exposed pages */
#define EXO_NAME_CONSOLE	"console"
#define EXO_NAME_MACHINE	"machine"
#define EXO_NAME_MODULE		"module"	/* the first boot module's frames */
#define EXO_NAME_PORTS		"ports"		/* all I/O ports */
#define EXO_NAME_INTERRUPTS	"interrupts"	/* all interrupt lines */
#define EXO_NAME_VIDEO		"video"		/* the frames of a PC's video memory */
#define EXO_NAME_NET		"net0"		/* root flow of network device 0 */
#define EXO_NAME_DISK		"disk0"		/* all shares of disk 0's time; others by their number */
#define EXO_NAME_BLOCKS		"blocks0"	/* all blocks of disk 0 */

#ifndef __ASSEMBLER__
struct exo_start_slot {
	char name[EXO_START_NAME];
	exo_cap_t cap;
};

struct exo_start {
	uint64_t magic;
	uint32_t version, size;
	uint64_t module_bytes;		/* of the boot module, for the first environment */
	uint64_t seed[4];		/* random; different for each environment */
	uint64_t image, image_bytes;	/* where the program lies in its space */
	uint64_t heap, heap_end;	/* addresses that the libOS may use freely; heap_end <= EXO_USER_MAX */
	uint64_t archive, archive_bytes;	/* boot archive, mapped read-only; 0: none */
	uint32_t argc, args;		/* number of arguments; offset of the first in this page: NUL-terminated, one after another */
	uint32_t envc, envs;		/* environment variables, likewise */
	uint32_t slots;
	uint32_t frames;		/* that it may take itself, by its account's limit; 0: as many as there are */
	struct exo_start_slot slot[EXO_START_SLOTS_MAX];
	char text[EXO_PAGE_SIZE - 128 - EXO_START_SLOTS_MAX * 24];
};

/* What exo_env_create reads from the argument frame. */
struct exo_env_params {
	uint64_t cpu;
	uint64_t run_entry;	/* written to the new dispatcher page */
	char label[16];		/* shown in the exposed table */
};

_Static_assert(sizeof(struct exo_start) <= EXO_PAGE_SIZE, "one page");
#endif

#endif
