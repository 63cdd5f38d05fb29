/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A broken kernel's last words: registers, and the stack with names.
 *
 * The names are a list of records (address's low half, name) in .symbols, in ascending order, which the build
 * makes from the kernel's first link. Code keeps no frame pointers, so the stack is looked through, up to its end,
 * for addresses right behind a call: all who have called are among them, in order, perhaps with one that called
 * earlier and whose word nobody has written over. All this works on any stack and with any GS. At last the other
 * CPUs stop.
 */
#include "arch/x86_64/port.h"

#define DEPTH_MAX	24
#define CALL_BYTES_MAX	7

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

/* Where the stack ends, of the three that each CPU has, that an address lies on; 0: on none. */
static uint64_t stack_end(uint64_t at)
{
	uint64_t start = (uint64_t)stack_start, offset;

	if (machine.cpus > 1 && at - STACK_SLOT(1) < (machine.cpus - 1) * STACK_SLOT_BYTES)
		start = at - (at - KERNEL_BASE) % STACK_SLOT_BYTES + EXO_PAGE_SIZE;
	offset = at - start;
	if (at % 8 || offset >= STACK_BYTES + 2 * IST_BYTES)
		return 0;
	return start + (offset < STACK_BYTES ? STACK_BYTES :
	    STACK_BYTES + (offset - STACK_BYTES) / IST_BYTES * IST_BYTES + IST_BYTES);
}

/* Does a call end right before this address: to a place, or through a register or a word of memory? */
static bool behind_call(uint64_t address)
{
	const uint8_t *code = (const uint8_t *)address;
	int bytes;

	if (address < (uint64_t)image_start + CALL_BYTES_MAX || address >= (uint64_t)text_end)
		return false;
	for (bytes = 2; bytes <= CALL_BYTES_MAX; bytes++)
		if (code[-bytes] == 0xff && (code[1 - bytes] >> 3 & 7) == 2)
			return true;
	return code[-5] == 0xe8;
}

static void backtrace(uint64_t sp)
{
	uint64_t end = stack_end(sp), word;
	unsigned depth = 0;

	for (; sp < end && depth < DEPTH_MAX; sp += sizeof(word)) {
		word = *(const uint64_t *)sp;
		if (!behind_call(word))
			continue;
		print_address(word, 1);
		depth++;
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
	backtrace(frame->rsp);
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
