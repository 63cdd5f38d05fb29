/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's calls as inline functions: exo_NAME(arguments), one for each line of include/exo/call.h.
 *
 * Result: what the call returns, or the negative of an error of include/exo/error.h (exo_error_text says it).
 * A call loses rcx, r11 and all six argument registers, whatever its arity. C types come from the table's
 * argument letters; the compiler checks that every line of the table has its function here, and of the same
 * arity.
 *
 * Bulk arguments lie in the argument frame: write them to core_arg(offset), then call (see core.h for who may
 * use which part of it). exo_yield and exo_sleep come back as a RUN upcall only: programs use core_yield and
 * core_sleep.
 */
#ifndef LIBOS_CORE_STUB_H
#define LIBOS_CORE_STUB_H

#include <exo/call.h>
#include <exo/error.h>
#include <exo/types.h>

#define EXO_ARITY(nr, name, args, names, rights, meaning) EXO_ARITY_##name = sizeof(args) - 1,
enum { EXO_CALLS(EXO_ARITY) };
#undef EXO_ARITY

static inline int64_t exo_invoke(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
				 uint64_t a4, uint64_t a5)
{
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = a4;
	register uint64_t r9 __asm__("r9") = a5;
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "0"(number)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

/* The same for fewer arguments: registers that the call does not read are not loaded. */
static inline int64_t exo_invoke5(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
				  uint64_t a4)
{
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = a4;
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8)
			 : "0"(number)
			 : "rcx", "r11", "r9", "memory", "cc");
	return result;
}

static inline int64_t exo_invoke3(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2)
			 : "0"(number)
			 : "rcx", "r11", "r10", "r8", "r9", "memory", "cc");
	return result;
}

#define EXO_STUB0(name) \
	enum { EXO_STUB_##name = 0 }; \
	static inline int64_t exo_##name(void) { return exo_invoke3(EXO_CALL_##name, 0, 0, 0); }
#define EXO_STUB1(name, t0, p0) \
	enum { EXO_STUB_##name = 1 }; \
	static inline int64_t exo_##name(t0 p0) { return exo_invoke3(EXO_CALL_##name, p0, 0, 0); }
#define EXO_STUB2(name, t0, p0, t1, p1) \
	enum { EXO_STUB_##name = 2 }; \
	static inline int64_t exo_##name(t0 p0, t1 p1) { return exo_invoke3(EXO_CALL_##name, p0, p1, 0); }
#define EXO_STUB3(name, t0, p0, t1, p1, t2, p2) \
	enum { EXO_STUB_##name = 3 }; \
	static inline int64_t exo_##name(t0 p0, t1 p1, t2 p2) \
	{ return exo_invoke3(EXO_CALL_##name, p0, p1, p2); }
#define EXO_STUB4(name, t0, p0, t1, p1, t2, p2, t3, p3) \
	enum { EXO_STUB_##name = 4 }; \
	static inline int64_t exo_##name(t0 p0, t1 p1, t2 p2, t3 p3) \
	{ return exo_invoke5(EXO_CALL_##name, p0, p1, p2, p3, 0); }
#define EXO_STUB5(name, t0, p0, t1, p1, t2, p2, t3, p3, t4, p4) \
	enum { EXO_STUB_##name = 5 }; \
	static inline int64_t exo_##name(t0 p0, t1 p1, t2 p2, t3 p3, t4 p4) \
	{ return exo_invoke5(EXO_CALL_##name, p0, p1, p2, p3, p4); }
#define EXO_STUB6(name, t0, p0, t1, p1, t2, p2, t3, p3, t4, p4, t5, p5) \
	enum { EXO_STUB_##name = 6 }; \
	static inline int64_t exo_##name(t0 p0, t1 p1, t2 p2, t3 p3, t4 p4, t5 p5) \
	{ return exo_invoke(EXO_CALL_##name, p0, p1, p2, p3, p4, p5); }

EXO_STUB0(null)
EXO_STUB3(console_write, exo_cap_t, console, uint64_t, offset, uint64_t, bytes)
EXO_STUB3(console_read, exo_cap_t, console, uint64_t, offset, uint64_t, bytes)
EXO_STUB2(machine_halt, exo_cap_t, machine, uint64_t, status)
EXO_STUB6(cap_derive, exo_cap_t, source, exo_cap_t, env, uint64_t, slot, uint64_t, rights, uint64_t, first,
	  uint64_t, count)
EXO_STUB1(cap_delete, exo_cap_t, cap)
EXO_STUB1(cap_revoke, exo_cap_t, cap)
EXO_STUB2(cap_table, exo_cap_t, frames, uint64_t, first)
EXO_STUB3(frame_take, uint64_t, slot_or_frames, uint64_t, pfn, uint64_t, count)
EXO_STUB2(frame_give, exo_cap_t, frames, uint64_t, count)
EXO_STUB3(space_create, uint64_t, slot, exo_cap_t, frames, uint64_t, first)
EXO_STUB5(space_table, exo_cap_t, space, exo_vaddr_t, address, uint64_t, level, exo_cap_t, frames, uint64_t,
	  first)
EXO_STUB3(space_write, exo_cap_t, space, uint64_t, offset, uint64_t, count)
EXO_STUB6(env_create, uint64_t, slot, exo_cap_t, space, exo_cap_t, account, exo_cap_t, frames, uint64_t,
	  first, uint64_t, offset)
EXO_STUB1(env_start, exo_cap_t, env)
EXO_STUB4(env_read, exo_cap_t, env, exo_vaddr_t, address, uint64_t, offset, uint64_t, bytes)
EXO_STUB4(env_write, exo_cap_t, env, exo_vaddr_t, address, uint64_t, offset, uint64_t, bytes)
EXO_STUB5(trace, exo_cap_t, env, exo_cap_t, frames, uint64_t, first, uint64_t, count, uint64_t, mask)
EXO_STUB4(port, exo_cap_t, ports, uint64_t, port, uint64_t, how, uint64_t, value)
EXO_STUB2(interrupt, exo_cap_t, interrupts, uint64_t, line)
EXO_STUB2(env_exit, uint64_t, cause, uint64_t, status)
EXO_STUB1(env_destroy, exo_cap_t, env)
EXO_STUB1(env_fsbase, uint64_t, base)
EXO_STUB2(yield, exo_cap_t, env, exo_time_t, until)
EXO_STUB3(sleep, exo_time_t, until, uint64_t, events, exo_cap_t, code)
EXO_STUB4(slice_take, uint64_t, slot, uint64_t, cpu, uint64_t, first, uint64_t, count)
EXO_STUB2(slice_bind, exo_cap_t, slices, exo_cap_t, env)
EXO_STUB3(entry_make, uint64_t, slot, exo_cap_t, env, uint64_t, badge)
EXO_STUB5(reply, uint64_t, status, uint64_t, w0, uint64_t, w1, uint64_t, w2, uint64_t, w3)
EXO_STUB5(send, exo_cap_t, entry, uint64_t, w0, uint64_t, w1, uint64_t, w2, uint64_t, w3)
EXO_STUB5(flow_make, uint64_t, slot, exo_cap_t, parent, exo_cap_t, frames, uint64_t, first, uint64_t, offset)
EXO_STUB6(flow_bind, exo_cap_t, flow, exo_cap_t, ring_frames, uint64_t, first, exo_cap_t, tx_frames, uint64_t,
	  tx_first, uint64_t, tx_count)
EXO_STUB1(flow_kick, exo_cap_t, flow)
EXO_STUB3(disk_bind, exo_cap_t, disk, exo_cap_t, frames, uint64_t, first)
EXO_STUB1(disk_kick, exo_cap_t, disk)
EXO_STUB6(volume_make, uint64_t, slot, exo_cap_t, blocks, exo_cap_t, frames, uint64_t, first, uint64_t, count,
	  exo_cap_t, code)
EXO_STUB4(node_open, uint64_t, slot, exo_cap_t, node, uint64_t, block, uint64_t, rights)
EXO_STUB3(node_load, exo_cap_t, node, uint64_t, block, uint64_t, buffer)
EXO_STUB2(node_change, exo_cap_t, node, uint64_t, offset)
EXO_STUB6(node_share, exo_cap_t, root, uint64_t, block, uint64_t, share, uint64_t, left, uint64_t, buffer, uint64_t, end)
EXO_STUB2(env_reclaim, exo_cap_t, account, uint64_t, id)
EXO_STUB2(disk_reset, exo_cap_t, disk, uint64_t, how)
EXO_STUB5(account_make, uint64_t, slot, exo_cap_t, parent, exo_cap_t, frames, uint64_t, first, uint64_t,
	  limit)
EXO_STUB3(account_share, exo_cap_t, parent, exo_cap_t, account, uint64_t, offset)
EXO_STUB3(demand, exo_cap_t, account, uint64_t, what, uint64_t, count)
EXO_STUB1(repossess, exo_cap_t, account)
EXO_STUB1(space_seal, exo_cap_t, space)
EXO_STUB2(env_move, exo_cap_t, env, uint64_t, cpu)
EXO_STUB1(wake, exo_cap_t, env_or_entry)
EXO_STUB3(frame_reclaim, exo_cap_t, frames, uint64_t, first, uint64_t, count)
EXO_STUB4(code_load, uint64_t, slot, exo_cap_t, frames, uint64_t, first, uint64_t, count)
EXO_STUB2(code_step, exo_cap_t, code, uint64_t, offset)
EXO_STUB4(code_bind, exo_cap_t, code, uint64_t, window, exo_cap_t, frames, uint64_t, first)
EXO_STUB2(flow_attach, exo_cap_t, flow, exo_cap_t, code)
EXO_STUB4(code_run, exo_cap_t, code, exo_cap_t, frames, uint64_t, first, uint64_t, offset)
EXO_STUB2(kick, exo_cap_t, frames, uint64_t, first)
EXO_STUB2(entry_open, exo_cap_t, entry, exo_cap_t, account)
EXO_STUB3(entry_take, uint64_t, slot, exo_env_id_t, opener, exo_cap_t, name)
EXO_STUB5(cap_split, exo_cap_t, source, exo_cap_t, env, uint64_t, slot, exo_cap_t, frames, uint64_t, first)
EXO_STUB3(split_give, exo_cap_t, frames, uint64_t, first, uint64_t, count)
EXO_STUB1(split_end, exo_cap_t, frames)

/* The transfer: message words go in and the reply's come back in the same place. */
enum { EXO_STUB_call = 6 };
#ifdef __SSE__			/* not where only general registers are used */
#define EXO_STUB_SSE	, "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
			"xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#else
#define EXO_STUB_SSE
#endif
static inline int64_t exo_call(exo_cap_t entry, exo_time_t deadline, uint64_t word[4])
{
	register uint64_t r10 __asm__("r10") = word[1];
	register uint64_t r8 __asm__("r8") = word[2];
	register uint64_t r9 __asm__("r9") = word[3];
	uint64_t a0 = entry, a1 = deadline, a2 = word[0];
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "0"((uint64_t)EXO_CALL_call)
			 : "rcx", "r11", "memory", "cc" EXO_STUB_SSE);
	word[0] = a2;
	word[1] = r10;
	word[2] = r8;
	word[3] = r9;
	return result;
}

/*
 * The same from within a function of a library: a transfer clears the FPU, but the control words of FPU and SSE and the
 * exceptions that they have noted are the program's. Those of the FPU are kept as SSE's: fetestexcept looks at both.
 */
static inline int64_t exo_call_keep(exo_cap_t entry, exo_time_t deadline, uint64_t word[4])
{
	uint32_t sse, noted;
	uint16_t control;
	int64_t result;

	__asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %%ax\n\tand $0x3f, %%eax\n\tor %%eax, %0"
			 : "=m"(sse), "=m"(control), "=&a"(noted) : : "cc");
	result = exo_call(entry, deadline, word);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(sse), "m"(control));
	return result;
}

#define EXO_STUB_CHECK(nr, name, args, names, rights, meaning) \
	_Static_assert((int)EXO_STUB_##name == (int)EXO_ARITY_##name, "stub of " #name);
EXO_CALLS(EXO_STUB_CHECK)
#undef EXO_STUB_CHECK

/* What an error (negative or positive) means, in words; never NULL. error.c */
const char *exo_error_text(int64_t error);
/* Its name in exo/error.h, without the EXO_E. */
const char *exo_error_name(int64_t error);

#endif
