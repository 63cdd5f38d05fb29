/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments for the fuzzer of calls (fuzz.c), drawn in the environment that makes the calls: of the class that the call
 * table's letter names, after Ballista. Needs the words SEED, TIME and FRAMES_TOTAL of its data page.
 */
#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t draw(void)
{
	uint64_t x = tiny_word(SEED);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	tiny_word(SEED) = x;
	return x >> 8;
}

INLINE uint64_t handle_in(uint64_t slot)
{
	return (uint64_t)((volatile struct exo_cap *)TINY_CAPS)[slot].generation << 32 | slot;
}

INLINE uint64_t type_in(uint64_t slot)
{
	return ((volatile struct exo_cap *)TINY_CAPS)[slot].type;
}

/* Mostly one of the type that is asked for, if there is one. */
TINY static uint64_t any_handle(uint64_t type)
{
	uint64_t slot = draw() % 64, how = draw() % 32;

	if (how < 28) {
		for (uint64_t tries = 0; type && type_in(slot) != type && tries < 64; tries++)
			slot = (slot + 1) % 64;
		return handle_in(slot);
	}
	how = 12 + how % 4;
	if (how == 12)
		return handle_in(slot) + (draw() % 2 ? 1ULL << 32 : -(1ULL << 32));
	if (how == 13)
		return draw() % 3 ? 0 : draw();
	if (how == 14)
		return slot;
	return 1ULL << 32 | (64 + (draw() & 0xffff));
}

TINY static uint64_t any_number(void)
{
	uint64_t how = draw() % 16, shift = draw() % 64;

	if (how < 7)
		return draw() % 10;
	if (how < 9)
		return draw() % 300;
	if (how == 9)
		return (1ULL << shift) - 1;
	if (how == 10)
		return 1ULL << shift;
	if (how == 11)
		return (1ULL << shift) + 1;
	if (how == 12)
		return draw() % tiny_word(FRAMES_TOTAL);
	if (how == 13)
		return ~0ULL - draw() % 3;
	if (how == 14)
		return EXO_PFN_ANY;
	return draw();
}

TINY static uint64_t any_address(void)
{
	uint64_t how = draw() % 16;

	if (how < 8)
		return TINY_CAPS + 0x1000 + (draw() % 11) * 0x1000;
	if (how < 10)
		return (draw() % 4096) << 21;
	if (how == 10) /* seldom its own pages: without them it does not go on */
		return (draw() % 16 ? TINY_CAPS + 0x1000 : TINY_DISP) + draw() % 16384;
	if (how == 11)
		return EXO_USER_MAX - (draw() % 3) * 0x1000;
	if (how == 12)
		return 0xffff800000000000 + draw() % 0x10000000;
	if (how == 13)
		return draw() % 2 ? 0 : 1ULL << 47;
	if (how == 14)
		return TINY_CAPS + 0x1000 + draw() % 0x8000;
	return draw() << 8;
}

TINY static uint64_t any_slot(void)
{
	uint64_t how = draw() % 8;

	if (how < 7) {
		uint64_t slot = FILLED + draw() % (64 - FILLED);
		for (uint64_t tries = 0; tries < 64 && (slot < FILLED || type_in(slot)); tries++)
			slot = (slot + 1) % 64;
		return slot;
	}
	return draw() % 2 ? any_handle(EXO_TYPE_FRAME) : any_number();
}

TINY static uint64_t any_offset(void)
{
	uint64_t how = draw() % 8;

	if (how < 5)
		return (draw() % 16) * 8;
	return how == 5 ? 4096 - draw() % 40 : how == 6 ? draw() % 5000 : any_number();
}

/* What the second and third capability of a call may be. */
INLINE uint64_t further_type(void)
{
	uint64_t how = draw() % 8;

	return how < 5 ? EXO_TYPE_FRAME : how == 5 ? EXO_TYPE_ENV : how == 6 ? EXO_TYPE_ACCOUNT : 0;
}

TINY static uint64_t any(uint64_t letter, uint64_t type, uint64_t further)
{
	switch (letter) {
	case 'c':
		return further && draw() % 4 == 0 ? 0 : any_handle(further ? further_type() : type);
	case 's':
		return any_slot();
	case 'v':
		return any_address();
	case 'o':
		return any_offset();
	case 't':
		return draw() % 4 ? tiny_word(TIME) + draw() % 300000 : draw() % 4 ? any_number() : EXO_NEVER;
	case 'w':
		return draw();
	default:
		return any_number();
	}
}
