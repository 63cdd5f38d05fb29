/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console, as plain as the device: bytes go out in the order of the calls, and mean nothing to the
 * kernel. And the machine as a whole, which can only be stopped.
 *
 * A serial port is slow, so the console has a lock of its own: only those wait for it who write to it.
 */
#include "exo/kernel.h"

static struct spinlock console_lock;

int64_t sys_console_write(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct exo_cap *cap;
	const char *bytes;
	int64_t error;

	(void)a3, (void)a4, (void)a5;
	cap = cap_need(current_env(), a0, EXO_TYPE_CONSOLE, EXO_RIGHT_WRITE, &error);
	if (!cap)
		return error;
	bytes = call_argument(a1, a2);
	if (!bytes)
		return ERR(RANGE);
	if (a2 > EXO_CONSOLE_MAX)
		a2 = EXO_CONSOLE_MAX;
	spin_lock(&console_lock);
	arch_console_write(bytes, a2);
	spin_unlock(&console_lock);
	return (int64_t)a2;
}

int64_t sys_machine_halt(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct exo_cap *cap;
	int64_t error;

	(void)a2, (void)a3, (void)a4, (void)a5;
	cap = cap_need(current_env(), a0, EXO_TYPE_MACHINE, EXO_RIGHT_CONTROL, &error);
	if (!cap)
		return error;
	arch_halt(a1);
}
