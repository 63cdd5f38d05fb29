/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console, as plain as the device: bytes go out in the order of the calls, come in in the order of the
 * device, and mean nothing to the kernel. And the machine as a whole, which can only be stopped.
 *
 * Input has one reader at a time: the first who asks, through a capability, until that is dropped or he ends.
 * What comes is kept in a ring here and announced by an event. While the ring is full, or nobody reads, the
 * device keeps what comes, as far as it can: it has no interrupt then, so nobody can be held up by typing.
 * What was not read stays for the next reader: bytes belong to the console, not to who reads it.
 *
 * A serial port is slow, so writing has a lock of its own: only those wait for it who write. Input has
 * another: its interrupt comes on one CPU, its reader calls from another.
 */
#include "exo/kernel.h"

static struct spinlock console_lock;

static struct {
	struct spinlock lock;		/* after the kernel lock */
	struct env *reader;		/* NULL: none */
	const struct exo_cap *through;	/* the capability that it became so by */
	uint32_t head, tail;		/* bytes ever put in, taken out */
	char ring[EXO_CONSOLE_MAX];
} input;

/* --- input ---------------------------------------------------------------------------------------------- */

/* From the device to the ring: true if anything came. What does not fit stays there, without an interrupt. */
static bool take_in(void)
{
	uint32_t before = input.head;
	size_t room, at;
	bool lost;

	while ((room = COUNT_OF(input.ring) - (input.head - input.tail)) != 0) {
		at = input.head % COUNT_OF(input.ring);
		if (room > COUNT_OF(input.ring) - at)
			room = COUNT_OF(input.ring) - at;
		room = arch_console_read(input.ring + at, room, &lost);
		info->console_lost += lost;
		if (!room)
			break;
		input.head += (uint32_t)room;
	}
	arch_console_listen(input.head - input.tail < COUNT_OF(input.ring));
	return input.head != before;
}

static void console_interrupt(void *arg)
{
	(void)arg;
	spin_lock(&input.lock);
	if (!input.reader)
		arch_console_listen(false);
	else if (take_in())
		env_event(input.reader, EXO_EVENT_CONSOLE);
	spin_unlock(&input.lock);
}

void console_init(void)
{
	input.reader = NULL;
	input.through = NULL;
	input.head = input.tail = 0;
	(void)arch_console_input(console_interrupt);
}

static void set_reader(struct env *env, const struct exo_cap *cap)
{
	spin_lock(&input.lock);
	input.reader = env;
	input.through = cap;
	info->console_reader = env ? env->index : 0;
	if (!env)
		arch_console_listen(false);
	spin_unlock(&input.lock);
}

bool console_drop(struct exo_cap *cap, unsigned *budget)
{
	(void)budget;
	if (cap == input.through)
		set_reader(NULL, NULL);
	return true;
}

void console_leave(const struct env *env)
{
	if (env == input.reader)
		set_reader(NULL, NULL);
}

int64_t sys_console_read(CALL_ARGS)
{
	struct env *self = current_env();
	uint32_t count = 0;
	struct exo_cap *cap;
	int64_t error;
	char *bytes;

	cap = cap_need(self, a0, EXO_TYPE_CONSOLE, EXO_RIGHT_READ, &error);
	if (!cap)
		return error;
	bytes = call_argument(a1, a2);
	if (!bytes)
		return ERR(RANGE);
	if (input.reader && input.reader != self)
		return ERR(BUSY);
	if (!input.reader)
		set_reader(self, cap);

	spin_lock(&input.lock);
	(void)take_in();
	for (; count < a2 && input.tail != input.head; count++)
		bytes[count] = input.ring[input.tail++ % COUNT_OF(input.ring)];
	arch_console_listen(input.head - input.tail < COUNT_OF(input.ring));
	spin_unlock(&input.lock);
	return count;
}

/* --- output, and the end -------------------------------------------------------------------------------- */

int64_t sys_console_write(CALL_ARGS)
{
	struct exo_cap *cap;
	const char *bytes;
	int64_t error;

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

int64_t sys_machine_halt(CALL_ARGS)
{
	struct exo_cap *cap;
	int64_t error;

	cap = cap_need(current_env(), a0, EXO_TYPE_MACHINE, EXO_RIGHT_CONTROL, &error);
	if (!cap)
		return error;
	arch_halt(a1);
}
