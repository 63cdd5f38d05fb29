/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake port: the whole of arch/arch.h over an array, in the order of arch.h. See null.h for how tests use
 * it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arch/null/null.h"

struct null_machine null;
char *arch_phys_base;
const char *const arch_options[] = { "seed", NULL };

/* --- driving -------------------------------------------------------------------------------------------- */

void null_boot(uint32_t frames)
{
	null_boot_cpus(frames, 1);
}

void null_boot_cpus(uint32_t frames, unsigned cpus_wanted)
{
	size_t bytes = (size_t)frames * EXO_PAGE_SIZE;
	unsigned i;

	/* As large as the one before, it has the same memory: some tests boot thousands, and fresh pages cost a fault each. */
	if (null.frames != frames) {
		free(arch_phys_base);
		arch_phys_base = aligned_alloc(EXO_PAGE_SIZE, bytes);
		if (!arch_phys_base)
			abort();
	}
	memset(arch_phys_base, 0xa5, bytes);
	memset(&null, 0, sizeof(null));
	info = &null.info;
	null.frames = frames;
	null.timer = EXO_NEVER;
	null.random = 1;
	null.cpu = &null.cpus[0];
	null.cpu_count = cpus_wanted;
	for (i = 0; i < EXO_CPUS_MAX; i++) {
		null.cpus[i].info = &null.cpu_info[i];
		null.kept[i].timer = EXO_NEVER;
	}
	memset(&boot, 0, sizeof(boot));
	boot.memory[0].start = EXO_PAGE_SIZE;
	boot.memory[0].end = bytes;
	boot.memory_count = 1;
	boot.loader = "null";
}

void null_on(unsigned index)
{
	null.kept[null.cpu - null.cpus] = (struct null_kept){ null.space, null.loaded, null.timer };
	null.cpu = &null.cpus[index];
	null.space = null.kept[index].space;
	null.loaded = null.kept[index].loaded;
	null.timer = null.kept[index].timer;
}

enum null_way null_enter(null_fn *fn, void *arg)
{
	if (null.inside)
		abort();
	null.inside = true;
	if (!setjmp(null.back)) {
		null.result = fn(arg);
		null.left = NULL_RETURNED;
	}
	null.inside = false;
	return null.left;
}

struct call {
	unsigned nr;
	uint64_t a[6];
};

static int64_t do_call(void *arg)
{
	const struct call *call = arg;
	const uint64_t *a = call->a;

	current_env()->arch.entries++;
	if (call->nr >= current_env()->arch.calls)
		return trace_call(a[0], a[1], a[2], a[3], a[4], a[5], call->nr);
	return call_table[call->nr](a[0], a[1], a[2], a[3], a[4], a[5]);
}

enum null_way null_call(unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
    uint64_t a5)
{
	struct call call = { nr, { a0, a1, a2, a3, a4, a5 } };

	if (nr >= EXO_CALL_COUNT) {
		null.result = ERR(NOCALL);
		return null.left = NULL_RETURNED;
	}
	return null_enter(do_call, &call);
}

/* Out of the kernel; with nobody to go back to the test has found a broken kernel. */
static _Noreturn void leave(enum null_way way)
{
	if (!null.inside) {
		fprintf(stderr, "null: the kernel left (%d) outside of null_enter\n", (int)way);
		abort();
	}
	null.left = way;
	longjmp(null.back, 1);
}

/* --- memory and page tables ----------------------------------------------------------------------------- */

void arch_zero_frame(exo_pfn_t pfn)
{
	memset(pfn_to_virt(pfn), 0, EXO_PAGE_SIZE);
}

uint64_t *arch_skip_zeros(uint64_t *at, const uint64_t *end)
{
	static const uint64_t zeros[16];

	while (at < end && !memcmp(at, zeros, sizeof(zeros)))
		at += 16;
	return at;
}

void arch_root_init(uint64_t *root)
{
	(void)root;
}

uint64_t arch_pte_page(exo_pfn_t pfn, unsigned flags)
{
	return (uint64_t)pfn << EXO_PAGE_SHIFT | EXO_PTE_PRESENT | EXO_PTE_USER |
	    (flags & EXO_MAP_WRITE ? EXO_PTE_WRITE : 0) | (flags & EXO_MAP_EXEC ? 0 : EXO_PTE_NX);
}

uint64_t arch_pte_table(exo_pfn_t pfn)
{
	return (uint64_t)pfn << EXO_PAGE_SHIFT | EXO_PTE_PRESENT | EXO_PTE_USER | EXO_PTE_WRITE;
}

void arch_tlb_page(uint64_t va)
{
	null.tlb_pages++;
	cpu_self()->info->invalidations++;
	if (null.on_tlb)
		null.on_tlb(va, false);
}

void arch_tlb_all(void)
{
	null.tlb_alls++;
	cpu_self()->info->invalidations++;
	if (null.on_tlb)
		null.on_tlb(0, true);
}

void arch_space_load(exo_pfn_t root)
{
	null.space = root;
	cpu_self()->info->switches++;
}

/* --- several CPUs --------------------------------------------------------------------------------------- */

unsigned arch_cpus(void)
{
	return null.cpu_count;
}

uint32_t arch_cpu_id(unsigned index)
{
	return index;
}

struct cpu *arch_cpu_place(unsigned index)
{
	return &null.cpus[index];
}

void arch_cpus_start(void)
{
	null.started = true;
}

void arch_cpu_interrupt(unsigned index)
{
	unsigned own = (unsigned)(null.cpu - null.cpus);

	void (*hook)(unsigned) = null.on_interrupt;

	null.interrupts[index]++;
	null.on_interrupt = NULL;
	if (hook)
		hook(index);
	null_on(index);
	null.cpu->info->interrupts++;
	cpu_serve(null.cpu->current ? &null.frame[index] : NULL);
	null_on(own);
}

void arch_pause(void)
{
	void (*hook)(void) = null.on_pause;

	null.on_pause = NULL;
	if (hook)
		hook();
}

/* --- running environments ------------------------------------------------------------------------------- */

void arch_env_load(struct env *env)
{
	null.loaded = env;
}

void arch_env_unload(struct env *env)
{
	(void)env;
}

void arch_env_forget(struct env *env)
{
	if (null.loaded == env)
		null.loaded = NULL;
}

void arch_upcall(uint64_t entry, uint64_t sp, const struct arch_message *message)
{
	null.entry = entry;
	null.sp = sp;
	null.message = *message;
	leave(NULL_UPCALL);
}

void arch_caller_resume(const struct arch_caller *caller, const struct arch_message *message)
{
	null.caller = *caller;
	null.message = *message;
	leave(NULL_CALLER);
}

static void hand_over(struct env *from, struct env *to)
{
	arch_env_unload(from);
	arch_env_load(to);
	cpu_self()->current = to;
	cpu_self()->space = to->root;
	if (from->root != to->root)
		arch_space_load(to->root);
}

void arch_transfer_call(uint64_t badge, struct env *to, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
	struct arch_message message = { 1, badge, null.loaded->id, w0, w1, w2, w3 };

	hand_over(null.loaded, to);
	to->disp->off = EXO_OFF_YES;
	arch_upcall(to->disp->call_entry, to->disp->call_sp, &message);
}

void arch_transfer_run(uint64_t reasons, struct env *to)
{
	struct arch_message message = { .rdi = reasons };

	hand_over(null.loaded, to);
	to->disp->off = EXO_OFF_YES;
	arch_upcall(to->disp->run_entry, to->disp->upcall_sp, &message);
}

void arch_transfer_reply(uint64_t status, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, struct env *to)
{
	struct arch_message message = { .rax = status, .rdx = w0, .r10 = w1, .r8 = w2, .r9 = w3 };

	hand_over(null.loaded, to);
	arch_caller_resume(&to->arch.caller, &message);
}

void arch_regs_resume(const struct exo_regs *regs, const uint8_t *fpu)
{
	(void)fpu;
	null.regs = *regs;
	leave(NULL_REGS);
}

void arch_idle(void)
{
	leave(NULL_IDLE);
}

void arch_frame_save(const struct arch_frame *frame, struct exo_regs *regs, uint8_t *fpu)
{
	*regs = frame->regs;
	if (fpu)
		memset(fpu, 0, 512);
}

uint64_t arch_frame_rip(const struct arch_frame *frame)
{
	return frame->regs.rip;
}

void arch_frame_upcall(struct arch_frame *frame, uint64_t entry, uint64_t sp, uint64_t rdi)
{
	const struct arch_message message = { .rdi = rdi };

	(void)frame;
	arch_upcall(entry, sp, &message);
}

void arch_frame_resume(struct arch_frame *frame)
{
	null.regs = frame->regs;
	leave(NULL_FRAME);
}

/* --- time and devices ----------------------------------------------------------------------------------- */

exo_time_t arch_now(void)
{
	return null.now;
}

void arch_timer_set(exo_time_t when)
{
	null.timer = when;
}

void arch_console_write(const char *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		null.console[null.console_bytes++ % sizeof(null.console)] = bytes[i];
	if (!null.quiet)
		fwrite(bytes, 1, count, stderr);
}

bool arch_console_input(void (*handler)(void *arg))
{
	null.console_irq = handler;
	return true;
}

void arch_console_listen(bool on)
{
	null.listening = on;
}

size_t arch_console_read(char *bytes, size_t count, bool *lost)
{
	size_t i;

	*lost = null.typed_lost;
	null.typed_lost = false;
	for (i = 0; i < count && null.typed_bytes; i++, null.typed_bytes--)
		bytes[i] = *null.typed++;
	return i;
}

void arch_halt(uint64_t status)
{
	null.result = (int64_t)status;
	leave(NULL_HALT);
}

/* There are no devices and no buses. */

void *arch_map_device(paddr_t pa, size_t bytes)
{
	(void)bytes;
	return phys_to_virt(pa);
}

bool arch_irq_msi(arch_irq_handler handler, void *arg, unsigned cpu, uint64_t *address, uint32_t *data)
{
	(void)cpu;
	null.irq = handler;
	null.irq_arg = arg;
	*address = 0;
	*data = 0;
	return true;
}

void arch_irq_again(uint32_t data)
{
	(void)data;
	null.irq_again++;
}

bool arch_irq_pin(unsigned gsi, bool level, bool active_low, arch_irq_handler handler, void *arg)
{
	(void)gsi, (void)level, (void)active_low;
	null.irq = handler;
	null.irq_arg = arg;
	return true;
}

bool arch_irq_line(unsigned line, arch_irq_handler handler, void *arg)
{
	null.line_handler = handler;
	null.line_arg[line] = arg;
	return line != 4;
}

void arch_irq_mask(unsigned line, bool masked)
{
	if (masked)
		null.lines_open &= ~(1u << line);
	else
		null.lines_open |= 1u << line;
}

bool arch_port_free(uint16_t port, unsigned bytes)
{
	return port >= 0x2f8 && port + bytes <= 0x300;
}

uint32_t arch_port_in(uint16_t port, unsigned bytes)
{
	return null.port[port % 8] & (uint32_t)((1ULL << 8 * bytes) - 1);
}

void arch_port_out(uint16_t port, unsigned bytes, uint32_t value)
{
	null.port[port % 8] = value & (uint32_t)((1ULL << 8 * bytes) - 1);
}

bool arch_video_memory(exo_pfn_t *first, uint32_t *count)
{
	*first = *count = 0;
	return false;
}

uint32_t arch_pci_read(uint32_t bdf, unsigned offset, unsigned width)
{
	uint32_t value = ~0U;

	(void)bdf;
	if (null.pci)
		memcpy(&value, null.pci + offset, width);
	return width == 4 ? value : value & ((1U << 8 * width) - 1);
}

void arch_pci_write(uint32_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	(void)bdf;
	if (null.pci)
		memcpy(null.pci + offset, &value, width);
}

void (*null_found)(void);

bool arch_pci_present(void)
{
	if (null_found)
		null_found();
	return false;
}

paddr_t arch_pci_allocate(size_t bytes)
{
	(void)bytes;
	return 0;
}

bool arch_virtio_mmio(unsigned i, struct arch_mmio_device *device)
{
	(void)i, (void)device;
	return false;
}

/* --- diagnosis ------------------------------------------------------------------------------------------ */

void arch_panic_stop(void)
{
	leave(NULL_PANIC);
}

void arch_stop(void)
{
	leave(NULL_STOP);
}

uint64_t arch_random(void)
{
	null.random ^= null.random << 13;
	null.random ^= null.random >> 7;
	null.random ^= null.random << 17;
	return null.random;
}

uint64_t arch_cpu_features(void)
{
	return EXO_CPU_FSGSBASE;
}
