/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floating-point environment, which is two: the x87's, of long double, and SSE's, of float and double. What is asked for
 * is done to both; a flag is up when it is in either. picolibc's own asks the processor at each call whether it has SSE (in a
 * virtual machine that costs more than all the rest), takes flags that there are not for an error which fetestexcept then
 * returns as flags, raises in the x87 only, and has no default environment before fesetenv was given it once: feupdateenv
 * of it enabled all traps.
 */
#define _GNU_SOURCE
#define __STDC_WANT_IEC_60559_BFP_EXT__
#include <fenv.h>
#include <stdint.h>

#define ROUNDING	0xc00U		/* in the x87's control word; MXCSR has it three bits higher */
#define TRAPS		7		/* by so many bits MXCSR's masks lie above its flags; the x87's are where the flags are */
#define PENDING		0x80U		/* in its status: a processor reckons this from flags and masks, an emulator may not */
#define MASKS		0x3fU		/* with that of numbers that are not normal, which stays set */

fenv_t _fe_dfl_env = { { 0x37f, 0, 0xffff, 0, 0, 0, 0 }, MASKS << TRAPS };
static const fenv_t trapping = { { 0x37f & ~FE_ALL_EXCEPT, 0, 0xffff, 0, 0, 0, 0 }, (MASKS & ~FE_ALL_EXCEPT) << TRAPS };
const fenv_t *const _fe_nomask_env = &trapping;

static uint16_t control(void)
{
	uint16_t word;

	__asm__ volatile("fnstcw %0" : "=m"(word));
	return word;
}

static uint16_t status(void)
{
	uint16_t word;

	__asm__ volatile("fnstsw %0" : "=am"(word));
	return word;
}

static uint32_t mxcsr(void)
{
	uint32_t word;

	__asm__ volatile("stmxcsr %0" : "=m"(word));
	return word;
}

static void set(uint16_t x87, uint32_t sse)
{
	__asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(x87), "m"(sse));
}

int fegetenv(fenv_t *env)
{
	__asm__ volatile("fnstenv %0; fldenv %0" : "=m"(env->_fpu));	/* storing it masks all traps */
	env->_sse_mxcsr = mxcsr();
	return 0;
}

int fesetenv(const fenv_t *env)
{
	__asm__ volatile("fldenv %0; ldmxcsr %1" : : "m"(env->_fpu), "m"(env->_sse_mxcsr));
	return 0;
}

int feholdexcept(fenv_t *env)
{
	fegetenv(env);
	__asm__ volatile("fnclex");
	set(control() | FE_ALL_EXCEPT, (env->_sse_mxcsr | FE_ALL_EXCEPT << TRAPS) & ~(uint32_t)FE_ALL_EXCEPT);
	return 0;
}

int fetestexcept(int which)
{
	return (int)((status() | mxcsr()) & (uint32_t)which & FE_ALL_EXCEPT);
}

int feclearexcept(int which)
{
	fenv_t env;

	which &= FE_ALL_EXCEPT;
	if ((status() & which) != 0) {
		fegetenv(&env);
		env._fpu._fpu_sw &= ~(unsigned)which;
		__asm__ volatile("fldenv %0" : : "m"(env._fpu));
	}
	set(control(), mxcsr() & ~(uint32_t)which);
	return 0;
}

/* The flags go up; no trap is taken for them before the x87's next instruction. */
int fesetexcept(int which)
{
	fenv_t env;

	which &= FE_ALL_EXCEPT;
	fegetenv(&env);
	env._fpu._fpu_sw |= (unsigned)which;
	if (which & ~control())
		env._fpu._fpu_sw |= PENDING;
	env._sse_mxcsr |= (unsigned)which;
	return fesetenv(&env);
}

/* As fesetexcept, and what is not masked traps here. */
int feraiseexcept(int which)
{
	fesetexcept(which);
	__asm__ volatile("fwait");
	return 0;
}

int fegetexceptflag(fexcept_t *flags, int which)
{
	*flags = (fexcept_t)fetestexcept(which);
	return 0;
}

int fesetexceptflag(const fexcept_t *flags, int which)
{
	which &= FE_ALL_EXCEPT;
	feclearexcept(which & ~(int)*flags);
	return fesetexcept(which & (int)*flags);
}

int feupdateenv(const fenv_t *env)
{
	int raised = fetestexcept(FE_ALL_EXCEPT);

	fesetenv(env);
	return feraiseexcept(raised);
}

int fegetround(void)
{
	return (control() & ROUNDING) >> 10;
}

int fesetround(int way)
{
	if (way & ~3)
		return -1;
	set((uint16_t)((control() & ~ROUNDING) | (unsigned)way << 10), (mxcsr() & ~(ROUNDING << 3)) | (uint32_t)way << 13);
	return 0;
}

/* Traps. */

int fegetexcept(void)
{
	return ~control() & FE_ALL_EXCEPT;
}

int feenableexcept(int which)
{
	int were = fegetexcept();

	if (which & ~FE_ALL_EXCEPT)
		return -1;
	set((uint16_t)(control() & ~which), mxcsr() & ~((uint32_t)which << TRAPS));
	return were;
}

int fedisableexcept(int which)
{
	int were = fegetexcept();

	if (which & ~FE_ALL_EXCEPT)
		return -1;
	set((uint16_t)(control() | which), mxcsr() | (uint32_t)which << TRAPS);
	return were;
}
