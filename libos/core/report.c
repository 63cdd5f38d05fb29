/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ended an environment, told by whoever holds a READ capability for it: nothing is asked of the dead.
 *
 * A libOS that gives up ends its environment with the exception's vector as the cause and leaves the
 * registers in area ON; when the kernel ends it (a fault while its fault handler ran), they are in area FAULT
 * and its entry names where.
 */
#include <string.h>
#include "libos/core/spawn.h"

#define FRAMES_MAX	16	/* of a backtrace */

/* The patient's image: where its file lies here, and how far above the file's addresses it runs. */
struct image {
	const void *file;
	size_t bytes;
	exo_vaddr_t base;
};

/* `back`: 1 for a return address, which may lie behind its function's end. */
static void print_place(const char *before, uint64_t address, unsigned back, const struct image *image)
{
	struct elf_symbol symbol;
	uint64_t look_up = address - back - image->base;

	core_print("%s0x%lx", before, address);
	if (image->file && elf_symbol(image->file, image->bytes, look_up, &symbol) == ELF_OK)
		core_print(" %.*s+0x%lx", (int)(symbol.name_len < 80 ? symbol.name_len : 80), symbol.name,
			   symbol.offset + back);
	core_print("\n");
}

static void print_registers(const struct exo_regs *regs)
{
	core_print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", regs->rax, regs->rbx, regs->rcx,
		   regs->rdx);
	core_print("  rsi %016lx  rdi %016lx  rbp %016lx  rsp %016lx\n", regs->rsi, regs->rdi, regs->rbp,
		   regs->rsp);
	core_print("  r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx\n", regs->r8, regs->r9, regs->r10,
		   regs->r11);
	core_print("  r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx\n", regs->r12, regs->r13, regs->r14,
		   regs->r15);
}

/* Frame pointers must rise and be readable; else the chain ends. */
static void print_backtrace(exo_cap_t env, const struct exo_regs *regs, const struct image *image)
{
	uint64_t frame = regs->rbp, link[2];

	print_place("  #0 ", regs->rip, 0, image);
	for (int i = 1; i < FRAMES_MAX; i++) {
		char before[16];
		if (frame % 8 || spawn_read(env, frame, link, sizeof(link)) != sizeof(link) || !link[1])
			break;
		core_format(before, sizeof(before), "  #%d ", i);
		print_place(before, link[1], 1, image);
		if (link[0] <= frame)
			break;
		frame = link[0];
	}
}

void report_fault(const char *name, exo_cap_t env, const struct exo_env_info *info, const void *image,
		  size_t bytes, exo_vaddr_t base)
{
	const struct image file = { image, bytes, base };
	uint64_t area = EXO_VA_DISP + (info->rip ? EXO_DISP_FAULT : EXO_DISP_ON);
	struct exo_regs regs;

	core_print("exo: %s (environment %u) ended by %s (%u)", name, (uint32_t)info->id, info->cause < 32 ?
		   core_vector_name(info->cause) : "breaking the rules of its dispatcher page", info->cause);
	if (spawn_read(env, area, &regs, sizeof(regs)) != sizeof(regs)) {
		core_print(", registers unreadable\n");
		return;
	}
	if (info->cause == 14)
		core_print(": %s of address 0x%lx", core_access_name(regs.error), regs.address);
	print_place(" at ", regs.rip, 0, &file);
	print_registers(&regs);
	print_backtrace(env, &regs, &file);
}
