/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address sanitizer's runtime for the checked kernel: what the compiler's calls before each load and store do.
 *
 * Its image (code, globals, stacks) has a shadow, a byte for 8 bytes, at a place that the linker script and the
 * compiler's -fasan-shadow-offset agree on: redzones lie around globals and around arrays on the stack. All other
 * memory is reached through the direct map, where the frame table says what may be touched: never a frame that is
 * free or does not exist (memory of a device apart, which was mapped by name); so use after free is seen with no
 * memory of its own, from the moment at which a frame is free until it is claimed. An address of an application is
 * never right.
 *
 * After Serebryany and others, "AddressSanitizer: a fast address sanity checker" (2012); without its quarantine, as
 * the kernel has no heap. A report is a panic: what, how many bytes, where, and the backtrace.
 */
#include "test/sanitize/sanitize.h"

#define WINDOWS_MAX	256

struct global {
	uint64_t start, bytes, padded;
	const char *name, *module;
	uint64_t dynamic, location, odr;
};

typedef void constructor(void);
extern constructor *const constructors_start[], *const constructors_end[];
extern uint8_t shadow_start[];

bool sanitize_on;
static struct {
	uint64_t start, end;
} windows[WINDOWS_MAX];
static unsigned windows_count;

static inline uint8_t *shadow_of(uint64_t at)
{
	return shadow_start + ((at - KERNEL_BASE) >> 3);
}

_Noreturn static void report(const char *what, uint64_t at, uint64_t bytes, bool write, const void *from)
{
	sanitize_on = false;
	panic("sanitizer: %s: %lu bytes %s at %lx, from %p", what, bytes, write ? "written" : "read", at, from);
}

/* The first byte that must not be touched, or NULL. */
static const char *shadow_says(uint64_t at, uint64_t bytes)
{
	uint64_t end = at + bytes;
	int8_t value;

	for (; at < end; at = (at | 7) + 1) {
		value = (int8_t)*shadow_of(at);
		if (likely(!value))
			continue;
		if (value > 0 && ((end - 1) >> 3 > at >> 3 ? 7 : (int8_t)((end - 1) & 7)) < value)
			continue;
		if (value > 0)
			return "behind the end of a variable";
		return (uint8_t)value == 0xf9 ? "beside a global" :
		    (uint8_t)value == 0xf8 ? "stack after its scope" : "beside an array on the stack";
	}
	return NULL;
}

static bool in_window(uint64_t pa, uint64_t bytes)
{
	unsigned i;

	for (i = 0; i < windows_count; i++)
		if (pa >= windows[i].start && pa + bytes <= windows[i].end)
			return true;
	return false;
}

static const char *frames_say(uint64_t pa, uint64_t bytes)
{
	uint64_t pfn;

	for (pfn = pa >> EXO_PAGE_SHIFT; pfn <= (pa + bytes - 1) >> EXO_PAGE_SHIFT; pfn++) {
		if (pfn < info->frames_total && info_frame[pfn].state != EXO_FRAME_ABSENT &&
		    info_frame[pfn].state != EXO_FRAME_FREE)
			continue;
		if (in_window(pa, bytes))
			return NULL;
		return pfn >= info->frames_total || info_frame[pfn].state == EXO_FRAME_ABSENT ?
		    "memory that does not exist" : "a free frame";
	}
	return NULL;
}

static inline void check(uint64_t at, uint64_t bytes, bool write, const void *from)
{
	const char *wrong = NULL;

	if (unlikely(!sanitize_on) || !bytes)
		return;
	if (at >= KERNEL_BASE && at + bytes <= (uint64_t)image_end)
		wrong = shadow_says(at, bytes);
	else if (at >= PHYS_BASE && at + bytes < PHYS_BASE + PHYS_LIMIT)
		wrong = frames_say(at - PHYS_BASE, bytes);
	else
		wrong = at < PHYS_BASE ? "an application's address" : "an address that is nobody's";
	if (unlikely(wrong))
		report(wrong, at, bytes, write, from);
}

#define CHECKER(size) \
	void __asan_load##size##_noabort(uint64_t at); \
	void __asan_store##size##_noabort(uint64_t at); \
	void __asan_load##size##_noabort(uint64_t at) { check(at, size, false, __builtin_return_address(0)); } \
	void __asan_store##size##_noabort(uint64_t at) { check(at, size, true, __builtin_return_address(0)); }
CHECKER(1)
CHECKER(2)
CHECKER(4)
CHECKER(8)
CHECKER(16)

void __asan_loadN_noabort(uint64_t at, uint64_t bytes);
void __asan_loadN_noabort(uint64_t at, uint64_t bytes)
{
	check(at, bytes, false, __builtin_return_address(0));
}

void __asan_storeN_noabort(uint64_t at, uint64_t bytes);
void __asan_storeN_noabort(uint64_t at, uint64_t bytes)
{
	check(at, bytes, true, __builtin_return_address(0));
}

/* --- functions of string.S, by the linker's --wrap -------------------------------------------------------------- */

void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__real_memmove(void *to, const void *from, size_t bytes);
void *__real_memset(void *to, int byte, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
	check((uint64_t)from, bytes, false, __builtin_return_address(0));
	check((uint64_t)to, bytes, true, __builtin_return_address(0));
	if (sanitize_on && (uint64_t)to < (uint64_t)from + bytes && (uint64_t)from < (uint64_t)to + bytes && to != from)
		report("memcpy onto itself", (uint64_t)to, bytes, true, __builtin_return_address(0));
	return __real_memcpy(to, from, bytes);
}

void *__wrap_memmove(void *to, const void *from, size_t bytes)
{
	check((uint64_t)from, bytes, false, __builtin_return_address(0));
	check((uint64_t)to, bytes, true, __builtin_return_address(0));
	return __real_memmove(to, from, bytes);
}

void *__wrap_memset(void *to, int byte, size_t bytes)
{
	check((uint64_t)to, bytes, true, __builtin_return_address(0));
	return __real_memset(to, byte, bytes);
}

void *__real_arch_map_device(paddr_t pa, size_t bytes);
void *__wrap_arch_map_device(paddr_t pa, size_t bytes);
void *__wrap_arch_map_device(paddr_t pa, size_t bytes)
{
	if (in_window(pa, bytes))
		return __real_arch_map_device(pa, bytes);
	if (windows_count == WINDOWS_MAX)
		panic("sanitizer: more than %u windows of devices", WINDOWS_MAX);
	windows[windows_count].start = pa;
	windows[windows_count++].end = pa + bytes;
	return __real_arch_map_device(pa, bytes);
}

/* --- globals and stacks ----------------------------------------------------------------------------------------- */

void __asan_register_globals(const struct global *global, uint64_t count);
void __asan_register_globals(const struct global *global, uint64_t count)
{
	uint64_t at;

	for (; count--; global++) {
		for (at = global->start + (global->bytes & ~7ULL); at < global->start + global->padded; at += 8)
			*shadow_of(at) = 0xf9;
		if (global->bytes & 7)
			*shadow_of(global->start + (global->bytes & ~7ULL)) = global->bytes & 7;
	}
}

void __asan_unregister_globals(const struct global *global, uint64_t count);
void __asan_unregister_globals(const struct global *global, uint64_t count)
{
	(void)global, (void)count;
}

/* The stack is left as a whole: nothing of it is in use any more. */
void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
	uint64_t at = (uint64_t)__builtin_frame_address(0) & ~7ULL, top;

	if (at >= (uint64_t)stack_start && at < (uint64_t)ist_top)
		top = (uint64_t)ist_top;
	else if (at >= KERNEL_BASE && at < KERNEL_BASE + EXO_CPUS_MAX * STACK_SLOT_BYTES)
		top = KERNEL_BASE + ((at - KERNEL_BASE) / STACK_SLOT_BYTES + 1) * STACK_SLOT_BYTES;
	else
		return;
	__real_memset(shadow_of(at), 0, (top - at) >> 3);
}

void sanitize_start(void)
{
	constructor *const *at;

	for (at = constructors_start; at < constructors_end; at++)
		(*at)();
	sanitize_on = true;
}
