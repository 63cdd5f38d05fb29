/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message queues and XSI's objects of the keeper: random requests of several processes and users against naive models, then
 * requests that make no sense. Processes end in between, also by a notification's signal while they ask. Nobody sleeps on
 * who need not; the keeper's checks find nothing (nor do ASan and UBSan), and what was held is given back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include "libos/core/core.h"
#include "libos/fs/vfs.h"
#include "libos/keep/files.h"
#include "libos/keep/ipc.h"
#include "libos/keep/object.h"
#include "test/unit/keep_table.h"
#include "test/unit/tap.h"

#define OPERATIONS	200000
#define HOSTILE		200000
#define NAMES		3
#define MESSAGES	4		/* of a queue of the model's */
#define BYTES		64
#define SEMS		3
#define MAPS		400
#define TURNS		20000		/* more objects of a kind are not made */

void keep_mqueue_start(void);
void keep_xsi_start(void);

static uint64_t seed = 7;
static unsigned bad, lost, waited, ended;

static uint64_t draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 20) % below;
}

static void wrong(const char *what, int64_t got, int64_t wanted)
{
	if (bad++ < 10)
		printf("# %s: %lld, not %lld\n", what, (long long)got, (long long)wanted);
}

exo_time_t core_now(void)
{
	return 5 * CORE_SECOND;
}

const volatile int64_t *core_wall_offset;

uint64_t core_wall(void)
{
	return 0;
}

bool keep_string(const struct keep_request *request, uint32_t offset, char *to, uint32_t size)
{
	memcpy(to, request->data + offset, size);
	return memchr(to, '\0', size) != NULL;
}

/* --- memory that is shared, of object.c: who has mapped what --------------------------------------------------- */

void (*keep_object_unmapped)(const struct fs_node *node, const struct keep_process *process);
static struct map {
	struct keep_process *process;	/* NULL: none */
	struct vfs_file *file;
	exo_vaddr_t va;
	uint64_t pages;
} maps[MAPS];
static unsigned nameless;
static void (*meanwhile)(void), (*at_lock)(void);	/* while a file is made; when a lock is taken next */

static void run(void (**what)(void))
{
	void (*now)(void) = *what;

	*what = NULL;
	if (now)
		now();
}

int keep_object_nameless(uint64_t pages, struct vfs_file **file)
{
	char name[32];
	int result;

	snprintf(name, sizeof(name), "/.%u", nameless++);
	result = vfs_open(NULL, name, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, 0600, file);
	if (!result)
		vfs_unlink(NULL, name, false);
	(void)pages;
	run(&meanwhile);
	return result;
}

static void *lock_make(void)
{
	return calloc(1, 1);
}

static void lock(void *arg)
{
	(void)arg;
	run(&at_lock);
}

static void unlock(void *arg)
{
	(void)arg;
}

static void nothing(void)
{
}

static struct fs_time now(void)
{
	return (struct fs_time){ 5, 0 };
}

static const struct vfs_machine machine = { .lock_make = lock_make, .lock_end = free, .lock = lock, .unlock = unlock,
	.wait = nothing, .wake = nothing, .now = now };

static void unmap(struct map *map)
{
	const struct fs_node *node = map->file->place.node;
	struct keep_process *process = map->process;
	struct vfs_file *file = map->file;

	map->process = NULL;
	keep_object_unmapped(node, process);
	vfs_file_put(file);
}

static struct map *map_at(const struct keep_process *process, exo_vaddr_t va)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].process == process && maps[i].va == va)
			return &maps[i];
	return NULL;
}

int64_t keep_object_attach(struct keep_process *process, struct vfs_file *file, exo_vaddr_t va, uint64_t pages,
    bool write)
{
	struct map *map = map_at(process, va);

	(void)write;
	if (map)
		unmap(map);
	for (map = maps; map < maps + MAPS && map->process; map++)
		;
	if (map == maps + MAPS)
		return -ENOMEM;
	vfs_file_hold(file);
	*map = (struct map){ process, file, va, pages };
	return 0;
}

uint32_t keep_object_maps(const struct fs_node *node)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < MAPS; i++)
		count += maps[i].process && maps[i].file->place.node == node;
	return count;
}

uint64_t keep_object_at(const struct keep_process *process, exo_vaddr_t va, const struct fs_node **node)
{
	const struct map *map = map_at(process, va);

	if (map)
		*node = map->file->place.node;
	return map ? map->pages : 0;
}

/* --- processes ------------------------------------------------------------------------------------------------- */

/* What a process that sleeps has asked for. */
static struct sleep {
	bool asleep;
	enum wire_request number;
	uint64_t word[3], wakes;
} sleeps[FAKE_PROCESSES];
static struct keep_process *dead;	/* by a signal, in the request that is served */

static struct keep_process *begin(uint32_t index)
{
	struct keep_process *process = fake_process(index);

	process->uid = process->euid = index / 2;
	process->gid = process->egid = index / 2;
	sleeps[index].asleep = false;
	return process;
}

/* As process.c has it. */
static void let_go(struct keep_process *process)
{
	keep_xsi_exit(process);
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].process == process)
			unmap(&maps[i]);
	keep_fds_close(process);
	process->state = KEEP_ZOMBIE;
	ended++;
}

static void killed(struct keep_process *process, int number, const struct wire_signal *info)
{
	if (number < 1 || number >= NSIG || info->code != SI_MESGQ)
		wrong("a notification's signal", number, SIGKILL);
	if (number != SIGKILL || process->state != KEEP_RUNNING)
		return;
	let_go(process);
	dead = process;
}

static void renew(struct keep_process *process)
{
	uint32_t index = process->index;

	if (process->state == KEEP_RUNNING)
		let_go(process);
	fake_end(process);
	begin(index);
}

/* A child of another, with its descriptors and maps. */
static void forked(struct keep_process *child, const struct keep_process *parent)
{
	renew(child);
	keep_fds_copy(child, parent);
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].process == parent)
			(void)keep_object_attach(child, maps[i].file, maps[i].va, maps[i].pages, true);
}

static int64_t ask(struct keep_process *process, enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3,
		   uint64_t more[2])
{
	struct sleep *sleep = &sleeps[process->index];
	int64_t result = fake_ask(process, number, w1, w2, w3, more);

	*sleep = (struct sleep){ result == WIRE_WAIT, number, { w1, w2, w3 }, process->page->wakes };
	waited += sleep->asleep;
	return result;
}

/* Who sleeps asks again. If nobody has woken him, nothing may have changed for him. */
static int64_t again(struct keep_process *process, uint64_t more[2])
{
	struct sleep was = sleeps[process->index];
	bool woken = process->page->wakes != was.wakes;
	int64_t result = ask(process, was.number, was.word[0], was.word[1], was.word[2], more);

	if (!woken && result != WIRE_WAIT && result != -EAGAIN) {
		if (lost++ < 10)
			printf("# request %d: %lld, and was not woken\n", was.number, (long long)result);
	}
	return result;
}

static struct keep_process *any(void)
{
	return &keep_process[draw(FAKE_PROCESSES)];
}

static void check(void)
{
	const char *why = keep_mqueue_check();

	if (!why)
		why = keep_xsi_check();
	if (why && bad++ < 10)
		printf("# %s\n", why);
}

/* --- message queues: a model ----------------------------------------------------------------------------------- */

struct letter {
	unsigned bytes, priority, mark;
};
static struct queue {
	struct letter letter[MESSAGES];	/* as they came */
	unsigned count;
} queues[NAMES];
static unsigned marks;

/* All have a queue open, each of its name; descriptors are NAMES of each process, in the order of names. */
static void mq_begin(void)
{
	for (uint32_t p = 0; p < FAKE_PROCESSES; p++)
		for (unsigned n = 0; n < NAMES; n++) {
			struct keep_process *process = &keep_process[p];

			process->umask = 0;
			sprintf(process->buffer, "%u", n);
			if (fake_ask(process, REQUEST_MQ_OPEN, O_CREAT | O_RDWR, 0666,
				     (uint64_t)MESSAGES << 32 | BYTES, NULL) != n)
				wrong("mq_open", 0, n);
		}
}

static unsigned mq_best(const struct queue *queue)
{
	unsigned best = 0;

	for (unsigned i = 1; i < queue->count; i++)
		if (queue->letter[i].priority > queue->letter[best].priority)
			best = i;
	return best;
}

static void mq_sent(struct queue *queue, unsigned bytes, unsigned priority, unsigned mark, int64_t result)
{
	int64_t wanted = queue->count == MESSAGES ? WIRE_WAIT : 0;

	if (result != wanted)
		wrong("mq_send", result, wanted);
	if (!result)
		queue->letter[queue->count++] = (struct letter){ bytes, priority, mark };
}

static void mq_received(struct queue *queue, const char *buffer, int64_t result, const uint64_t more[2])
{
	unsigned best = mq_best(queue), mark = 0;
	struct letter *letter = &queue->letter[best];

	if (!queue->count || result < 0) {
		if (result != (queue->count ? (int64_t)letter->bytes : WIRE_WAIT))
			wrong("mq_receive", result, queue->count);
		return;
	}
	memcpy(&mark, buffer, sizeof(mark));
	if (result != letter->bytes || more[0] != letter->priority || mark != letter->mark)
		wrong("mq_receive's message", mark, letter->mark);
	queue->count--;
	memmove(letter, letter + 1, (queue->count - best) * sizeof(*letter));
}

static void mq_step(struct keep_process *process)
{
	struct sleep *sleep = &sleeps[process->index];
	unsigned n = (unsigned)draw(NAMES), bytes = sizeof(n) + (unsigned)draw(BYTES - 3), priority = (unsigned)draw(4), mark;
	uint64_t more[2];

	if (sleep->asleep && draw(2)) {
		n = (unsigned)sleep->word[0];
		memcpy(&mark, process->buffer, sizeof(mark));
		bytes = (unsigned)sleep->word[1];
		priority = (unsigned)sleep->word[2];
		if (sleep->number == REQUEST_MQ_SEND)
			mq_sent(&queues[n], bytes, priority, mark, again(process, more));
		else
			mq_received(&queues[n], process->buffer, again(process, more), more);
		return;
	}
	if (sleep->asleep)
		fake_ask(process, REQUEST_MQ_FORGET, sleep->word[0], 0, 0, NULL);
	if (draw(2)) {
		mark = ++marks;
		memcpy(process->buffer, &mark, sizeof(mark));
		mq_sent(&queues[n], bytes, priority, mark, ask(process, REQUEST_MQ_SEND, n, bytes, priority, NULL));
	} else {
		int64_t result = ask(process, REQUEST_MQ_RECEIVE, n, BYTES, 0, more);

		mq_received(&queues[n], process->buffer, result, more);
	}
}

/* --- semaphores: a model --------------------------------------------------------------------------------------- */

static int values[SEMS], undo[FAKE_PROCESSES][SEMS];
static uint64_t sem_id;

/* Does it all: 0, or WIRE_WAIT and nothing is done. */
static int64_t sem_model(uint32_t p, const struct wire_semop *op, unsigned ops)
{
	int value[SEMS], own[SEMS];

	memcpy(value, values, sizeof(value));
	memcpy(own, undo[p], sizeof(own));
	for (unsigned i = 0; i < ops; i++) {
		int *is = &value[op[i].number];

		if (op[i].add ? *is + op[i].add < 0 : *is != 0)
			return WIRE_WAIT;
		*is += op[i].add;
		own[op[i].number] -= op[i].flags & WIRE_SEM_UNDO ? op[i].add : 0;
	}
	memcpy(values, value, sizeof(value));
	memcpy(undo[p], own, sizeof(own));
	return 0;
}

static void sem_ended(uint32_t p)
{
	for (unsigned i = 0; i < SEMS; i++) {
		values[i] += undo[p][i];
		values[i] = values[i] < 0 ? 0 : values[i];
		undo[p][i] = 0;
	}
}

static void sem_step(struct keep_process *process)
{
	struct wire_semop op[4];
	unsigned ops = 1 + (unsigned)draw(4);
	bool repeat = sleeps[process->index].asleep;
	int64_t result, wanted;

	if (draw(50) == 0) {
		sem_ended(process->index);
		renew(process);
		return;
	}
	if (repeat)
		ops = (unsigned)sleeps[process->index].word[1];
	else
		for (unsigned i = 0; i < ops; i++)
			op[i] = (struct wire_semop){ (uint16_t)draw(SEMS), (int16_t)(draw(7) - 3),
				draw(2) ? WIRE_SEM_UNDO : 0 };
	if (!repeat)
		memcpy(process->buffer, op, ops * sizeof(op[0]));
	memcpy(op, process->buffer, ops * sizeof(op[0]));
	wanted = sem_model(process->index, op, ops);
	result = repeat ? again(process, NULL) : ask(process, REQUEST_SEMOP, sem_id, ops, 1, NULL);
	if (result != wanted)
		wrong("semop", result, wanted);
	for (unsigned i = 0; i < SEMS; i++) {
		result = fake_ask(&keep_process[0], REQUEST_SEMCTL, sem_id, WIRE_SEM_GETVAL | (uint64_t)i << 32, 0, NULL);
		if (result != values[i])
			wrong("a semaphore", result, values[i]);
	}
}

/* --- XSI's messages: a model ----------------------------------------------------------------------------------- */

static struct { int64_t type; unsigned mark; } msgs[16];
static unsigned msg_count;
static uint64_t msg_id;

/* Which one has to come; msg_count: none. */
static unsigned msg_choose(int64_t type)
{
	unsigned best = msg_count;

	for (unsigned i = 0; i < msg_count; i++) {
		if (type >= 0 && (!type || msgs[i].type == type))
			return i;
		if (type < 0 && msgs[i].type <= -type && (best == msg_count || msgs[i].type < msgs[best].type))
			best = i;
	}
	return best;
}

static void msg_received(const char *buffer, int64_t type, int64_t result, const uint64_t more[2])
{
	unsigned which = msg_choose(type), mark;
	int64_t wanted = which == msg_count ? WIRE_WAIT : (int64_t)sizeof(mark);

	if (result != wanted)
		wrong("msgrcv", result, wanted);
	if (result < 0 || which == msg_count)
		return;
	memcpy(&mark, buffer, sizeof(mark));
	if (mark != msgs[which].mark || (int64_t)more[0] != msgs[which].type)
		wrong("msgrcv's message", mark, msgs[which].mark);
	msg_count--;
	memmove(&msgs[which], &msgs[which + 1], (msg_count - which) * sizeof(msgs[0]));
}

static void msg_step(struct keep_process *process)
{
	int64_t type = (int64_t)draw(9) - 4;
	uint64_t more[2];

	if (sleeps[process->index].asleep && draw(4)) {
		type = (int64_t)sleeps[process->index].word[2];
		msg_received(process->buffer, type, again(process, more), more);
	} else if (draw(2) && msg_count < sizeof(msgs) / sizeof(msgs[0])) {
		type = 1 + (int64_t)draw(4);
		msgs[msg_count].mark = ++marks;
		msgs[msg_count++].type = type;
		memcpy(process->buffer, &marks, sizeof(marks));
		if (ask(process, REQUEST_MSGSND, msg_id, sizeof(marks), (uint64_t)type, NULL))
			wrong("msgsnd", 1, 0);
	} else {
		int64_t result = ask(process, REQUEST_MSGRCV, msg_id, 100, (uint64_t)type, more);

		msg_received(process->buffer, type, result, more);
	}
}

static void models(void)
{
	static void (*const steps[])(struct keep_process *process) = { mq_step, sem_step, msg_step };

	for (unsigned which = 0; which < 3; which++) {
		for (uint32_t p = 0; p < FAKE_PROCESSES; p++)
			renew(&keep_process[p]);
		if (which == 0)
			mq_begin();
		for (unsigned i = 0; i < OPERATIONS; i++) {
			steps[which](any());
			if (i % 64 == 0)
				check();
		}
	}
}

/* --- requests that make no sense ------------------------------------------------------------------------------- */

static uint64_t ids[8];			/* that were given lately */

static uint64_t word(void)
{
	static const uint64_t special[] = { 0, 1, 2, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN, UINT32_MAX, 1ull << 31,
		O_CREAT | O_RDWR, O_CREAT | O_EXCL, WIRE_IPC_CREAT | 0666, WIRE_IPC_CREAT | 0600, WIRE_IPC_NOWAIT,
		WIRE_IPC_NOWAIT | 8192, WIRE_IPC_NOERROR | WIRE_IPC_NOWAIT, WIRE_MQ_SIGNAL | (uint64_t)SIGKILL << 32,
		WIRE_MQ_SIGNAL | (uint64_t)SIGUSR1 << 32, WIRE_MQ_SIGNAL | 64ull << 32, WIRE_MQ_SIGNAL | 65ull << 32,
		4ull << 32 | 64, 1024ull << 32 | 32768, 1ull << 63 | 1, 8192, 250, 500, 501, 0x10000 | WIRE_MAP_WRITE };

	switch (draw(5)) {
	case 0: return draw(8);
	case 1: return special[draw(sizeof(special) / sizeof(special[0]))];
	case 2: return draw(32) | draw(4) << 32;
	case 3: return ids[draw(8)];
	default: return draw(8) ? draw(100000) : seed;
	}
}

static void fill(char *buffer)
{
	switch (draw(4)) {
	case 0:
		for (unsigned i = 0; i < 40; i++) {
			uint64_t any = word();
			memcpy(buffer + i * sizeof(any), &any, sizeof(any));
		}
		break;
	case 1:
		for (unsigned i = 0; i < 8; i++) {
			struct wire_semop op = { (uint16_t)draw(5), (int16_t)(draw(9) - 4), draw(2) ? WIRE_SEM_UNDO : 0 };
			memcpy(buffer + i * sizeof(op), &op, sizeof(op));
		}
		break;
	case 2:
		memset(buffer, (int)draw(256), 2048);
		break;
	default:
		sprintf(buffer, "%u", (unsigned)draw(5));
	}
}

static void other(struct keep_process *process)
{
	switch (draw(8)) {
	case 0:
		renew(process);
		break;
	case 1:
		if (&keep_process[0] != process)
			forked(&keep_process[0], process);
		break;
	case 2: {
		struct map *map = &maps[draw(MAPS)];
		if (map->process)
			unmap(map);
		break;
	}
	default:
		sleeps[process->index].asleep = false;
		(void)fake_ask(process, REQUEST_CLOSE, draw(6), 0, 0, NULL);
	}
}

static unsigned long hostile(void)
{
	unsigned long good = 0;

	for (unsigned i = 0; i < HOSTILE; i++) {
		struct keep_process *process = any();
		uint64_t number = draw(2) ? REQUEST_MQ_OPEN + draw(8) : REQUEST_MSGGET + draw(12);
		int64_t result;

		if (draw(12) == 0)
			other(process);
		if (!fake_handlers[number])
			continue;
		if (draw(3) == 0 && sleeps[process->index].asleep) {
			result = again(process, NULL);
		} else {
			fill(process->buffer);
			result = ask(process, (enum wire_request)number, word(), word(), word(), NULL);
		}
		good += result >= 0;
		if (result > 0 && (number == REQUEST_MSGGET || number == REQUEST_SEMGET || number == REQUEST_SHMGET))
			ids[draw(8)] = (uint64_t)result;
		if (dead)
			renew(dead);
		dead = NULL;
		if (i % 16 == 0)
			check();
	}
	return good;
}

/* --- what is known to have been wrong -------------------------------------------------------------------------- */

/* Of a queue that has no name any more and one descriptor: its owner is told of his own message by SIGKILL. */
static bool told_and_gone(void)
{
	struct keep_process *process = &keep_process[0];

	renew(process);
	dead = NULL;
	if (fake_path(process, REQUEST_MQ_OPEN, "gone", O_CREAT | O_RDWR, 0600, 4ull << 32 | 64) ||
	    fake_ask(process, REQUEST_MQ_NOTIFY, 0, WIRE_MQ_SIGNAL | (uint64_t)SIGKILL << 32, 0, NULL) ||
	    fake_path(process, REQUEST_MQ_UNLINK, "gone", 0, 0, 0) || fake_ask(process, REQUEST_MQ_SEND, 0, 10, 0, NULL))
		return false;
	return dead == process;
}

/* While one's first map of a segment waits, another maps it, takes that away, and it is removed. */
static uint64_t segment;

static void remove_segment(void)
{
	unmap(map_at(&keep_process[1], 0x10000));
	if (fake_ask(&keep_process[1], REQUEST_SHMCTL, segment, WIRE_IPC_RMID, 0, NULL))
		wrong("shmctl", 1, 0);
}

static void attach_first(void)
{
	if (fake_ask(&keep_process[1], REQUEST_SHMAT, segment, 0x10000, 0, NULL) != 1)
		wrong("shmat", 0, 1);
	at_lock = remove_segment;
}

static bool attached_and_removed(void)
{
	int64_t result;

	segment = (uint64_t)fake_ask(&keep_process[1], REQUEST_SHMGET, 0, 100, 0666, NULL);
	meanwhile = attach_first;
	result = fake_ask(&keep_process[0], REQUEST_SHMAT, segment, 0x10000, 0, NULL);
	renew(&keep_process[0]);
	renew(&keep_process[1]);
	return (result == 1 || result == -EINVAL) && !at_lock && !bad;
}

static void clean_up(void)
{
	struct keep_process *root = &keep_process[0];

	for (uint32_t p = 0; p < FAKE_PROCESSES; p++)
		renew(&keep_process[p]);
	for (unsigned i = 0; i < 64; i++) {
		sprintf(root->buffer, "%u", i);
		(void)fake_ask(root, REQUEST_MQ_UNLINK, 0, 0, 0, NULL);
	}
	for (uint64_t id = 0; id < (uint64_t)XSI_MOST * TURNS; id++) {	/* whatever number they have got */
		(void)fake_ask(root, REQUEST_SHMCTL, id, WIRE_IPC_RMID, 0, NULL);
		(void)fake_ask(root, REQUEST_SEMCTL, id, WIRE_IPC_RMID, 0, NULL);
		(void)fake_ask(root, REQUEST_MSGCTL, id, WIRE_IPC_RMID, 0, NULL);
	}
	for (uint32_t p = 0; p < FAKE_PROCESSES; p++) {
		let_go(&keep_process[p]);
		fake_end(&keep_process[p]);
	}
}

int main(void)
{
	const struct fs_mount how = { .options = "size=2M" };
	unsigned long good;

	vfs_machine = &machine;
	ok(vfs_mount("/", &fs_memory, &how) == 0, "a file system");
	keep_open_start();
	keep_mqueue_start();
	keep_xsi_start();
	fake_signal = killed;
	for (uint32_t p = 0; p < FAKE_PROCESSES; p++)
		begin(p);
	ok(told_and_gone(), "a notification ends the sender, and with him the queue");
	renew(&keep_process[0]);
	ok(attached_and_removed(), "a segment is removed while somebody waits for its memory");
	sem_id = (uint64_t)fake_ask(&keep_process[0], REQUEST_SEMGET, 0, SEMS, 0666, NULL);
	msg_id = (uint64_t)fake_ask(&keep_process[0], REQUEST_MSGGET, 0, 0, 0666, NULL);
	models();
	ok(!bad && waited > OPERATIONS / 10, "as the models have it (%u waits, %u ends)", waited, ended);
	ok(!lost, "nobody sleeps on");
	bad = lost = 0;
	good = hostile();
	ok(!bad && good > HOSTILE / 100, "requests that make no sense, of which %lu could be served", good);
	ok(!lost, "nobody sleeps on");
	clean_up();
	check();
	ok(!bad && !keep_files_open, "all is in order in the end, and no description is left");
	return done();
}
