/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A broken kernel's last words: registers, and the stack with names.
 *
 * The names are a list of records (address's low half, name) in .symbols, in ascending order, which the build
 * makes from the kernel's first link. The stack is followed by frame pointers, within the kernel's stacks
 * only, so a wrong one ends the walk and nothing else. All this works on any stack and with any GS. At last
 * the other CPUs stop.
 */
#include "arch/x86_64/port.h"

#define DEPTH_MAX	24

extern const char symbols_start[], symbols_end[];

static const char *symbol_at(uint64_t address, uint64_t *offset)
{
	const char *at = symbols_start, *name = NULL;
	uint32_t start;

	*offset = 0;
	while (symbols_end - at > 4) {
		memcpy(&start, at, 4);
		if (start > (uint32_t)address)
			break;
		name = at + 4;
		*offset = (uint32_t)address - start;
		for (at = name; at < symbols_end && *at; at++)
			;
		at++;
	}
	return name ? name : "?";
}

/* `back` 1: the address is where a call returns to, and the call stands before it. */
static void print_address(uint64_t address, unsigned back)
{
	uint64_t offset;
	const char *name;

	if (address < (uint64_t)image_start || address >= (uint64_t)text_end) {
		kprintf("  %016lx\n", address);
		return;
	}
	name = symbol_at(address - back, &offset);
	kprintf("  %016lx %s+0x%lx\n", address, name, offset + back);
}

/* May 16 bytes there be read as part of a stack? */
static bool on_stack(uint64_t at)
{
	uint64_t offset = at - KERNEL_BASE, in_slot = offset % STACK_SLOT_BYTES;

	if (at % 8)
		return false;
	if (at >= (uint64_t)stack_start && at <= (uint64_t)ist_top - 16)
		return true;
	return offset >= STACK_SLOT_BYTES && offset < machine.cpus * STACK_SLOT_BYTES &&
	    in_slot >= EXO_PAGE_SIZE && in_slot <= STACK_SLOT_BYTES - 16;
}

static void backtrace(uint64_t frame)
{
	unsigned depth;
	uint64_t next;

	for (depth = 0; depth < DEPTH_MAX; depth++) {
		if (!on_stack(frame))
			return;
		print_address(((const uint64_t *)frame)[1], 1);
		next = *(const uint64_t *)frame;
		if (next <= frame)
			return;
		frame = next;
	}
}

_Noreturn void arch_panic_stop(void)
{
	backtrace((uint64_t)__builtin_frame_address(0));
	arch_stop();
}

static void print_frame(const struct arch_frame *f, uint64_t address)
{
	kprintf("  vector %lu  error %lx  address %lx  cs %lx  flags %lx\n", f->vector, f->error, address, f->cs, f->rflags);
	kprintf("  rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	kprintf("  rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", f->rsi, f->rdi, f->rbp, f->rsp);
	kprintf("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
	kprintf("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
	print_address(f->rip, 0);
}

_Noreturn void trap_kernel(const struct arch_frame *frame, uint64_t address)
{
	static bool again;

	if (again)
		arch_stop();
	again = true;
	kprintf("exo: the kernel is broken and stops: exception in the kernel, or a fatal one\n");
	print_frame(frame, address);
	backtrace(frame->rbp);
	arch_stop();
}

/* Somebody asks what goes on, or hardware complains: said, and that is all. */
void trap_nmi(const struct arch_frame *frame)
{
	while (apic_stopping)
		__asm__ volatile("cli; hlt");
	kprintf("exo: non-maskable interrupt\n");
	print_frame(frame, 0);
}
