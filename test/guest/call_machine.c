/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * null, console_write, machine_halt, numbers that no call has, and what every call keeps. Runs first: yes
 */
#include "test/guest/call.h"

static void null(void)
{
	uint64_t kept[4] = { 1, 2, 3, 4 };
	register uint64_t r10 __asm__("r10") = 7;
	register uint64_t r8 __asm__("r8") = 8;
	register uint64_t r9 __asm__("r9") = 9;
	uint64_t a0 = 4, a1 = 5, a2 = 6, flags;
	int64_t result;

	is(exo_null(), 0, "null");
	__asm__ volatile(
	    "mov $0x1111, %%rbx\n\tmov $0x2222, %%r12\n\tmov $0x3333, %%r13\n\tmov $0x4444, %%r15\n\t"
	    "std\n\tsyscall\n\tpushfq\n\tpopq %7\n\tcld\n\t"
	    "mov %%rbx, (%8)\n\tmov %%r12, 8(%8)\n\tmov %%r13, 16(%8)\n\tmov %%r15, 24(%8)"
	    : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8), "+r"(r9), "=m"(flags)
	    : "r"(kept), "0"((uint64_t)EXO_CALL_null)
	    : "rcx", "r11", "rbx", "r12", "r13", "r15", "memory", "cc");
	ok(kept[0] == 0x1111 && kept[1] == 0x2222 && kept[2] == 0x3333 && kept[3] == 0x4444,
	    "it keeps registers");
	ok(flags & 0x400, "and the direction flag");
	ok(!(a0 | a1 | a2 | r10 | r8 | r9), "what it loses holds nothing of the kernel's");
}

static void numbers(void)
{
	static const uint64_t number[] = { EXO_CALL_COUNT, EXO_CALL_COUNT + 1, 255, 256, 0xffffffff,
		1ULL << 32, 1ULL << 32 | EXO_CALL_null, 1ULL << 63, ~0ULL };
	bool good = true;

	for (unsigned i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		good = good && exo_invoke(number[i], 1, 2, 3, 4, 5, 6) == -EXO_ENOCALL;
	ok(good, "NOCALL for every number that no call has");
}

static void console(void)
{
	exo_cap_t own = core_named(EXO_NAME_CONSOLE), read_only;

	memcpy(core_arg(0), "# written\n", 10);
	is(exo_console_write(own, 0, 10), 10, "console_write");
	is(exo_console_write(own, 4096, 0), 0, "no bytes at the end of the frame");
	is(exo_console_write(own, 0, 0), 0, "no bytes at all");
	memset(core_arg(0), ' ', 300);
	*(char *)core_arg(0) = '#';
	*(char *)core_arg(EXO_CONSOLE_MAX - 1) = '\n';
	is(exo_console_write(own, 0, 300), EXO_CONSOLE_MAX, "no more than the bound at once");
	is(exo_console_write(own, 4090, 7), -EXO_ERANGE, "RANGE: behind the frame");
	is(exo_console_write(own, 4097, 0), -EXO_ERANGE, "RANGE: offset");
	is(exo_console_write(own, ~0ULL, 2), -EXO_ERANGE, "RANGE: a sum that wraps");
	is(exo_console_write(own, 1, ~0ULL), -EXO_ERANGE, "RANGE: a length that wraps");
	is(exo_console_write(NO_CAP, 0, 1), -EXO_ECAP, "CAP");
	is(exo_console_write(0, 0, 1), -EXO_ECAP, "CAP: slot 0");
	is(exo_console_write(own + (1ULL << 32), 0, 1), -EXO_ECAP, "CAP: another generation");
	is(exo_console_write(core_named(EXO_NAME_INFO), 0, 1), -EXO_ETYPE, "TYPE");
	read_only = (exo_cap_t)caps_derive(own, EXO_RIGHT_READ, 0, 0);
	is(exo_console_write(read_only, 0, 1), -EXO_ERIGHTS, "RIGHTS");
	caps_delete(read_only);
}

static void halt(void)
{
	exo_cap_t own = core_named(EXO_NAME_MACHINE), weak;

	is(exo_machine_halt(NO_CAP, 9), -EXO_ECAP, "halt CAP");
	is(exo_machine_halt(core_named(EXO_NAME_CONSOLE), 9), -EXO_ETYPE, "halt TYPE");
	weak = (exo_cap_t)caps_derive(own, 0, 0, 0);
	ok((int64_t)weak > 0, "a capability without any right");
	is(exo_machine_halt(weak, 9), -EXO_ERIGHTS, "halt RIGHTS");
	caps_delete(weak);
	is(exo_machine_halt(weak, 9), -EXO_ECAP, "halt CAP: deleted");
}

int main(void)
{
	null();
	numbers();
	console();
	halt();
	return call_done();
}
