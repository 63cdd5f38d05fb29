/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of mathematics for the type of their arguments (C11 7.25), by the compiler's own choice among six
 * functions, or three where none is for complex numbers: integers count as double, and of several arguments the
 * widest decides.
 */
#ifndef EXO_POSIX_TGMATH_H
#define EXO_POSIX_TGMATH_H

#include <complex.h>
#include <math.h>

#define __exo_real(name, ...)		__builtin_tgmath(name##f, name, name##l, __VA_ARGS__)
#define __exo_complex(name, ...)	__builtin_tgmath(c##name##f, c##name, c##name##l, __VA_ARGS__)
#define __exo_both(name, complex_name, ...) \
	__builtin_tgmath(name##f, name, name##l, complex_name##f, complex_name, complex_name##l, __VA_ARGS__)

#undef acos
#define acos(x)		__exo_both(acos, cacos, x)
#undef asin
#define asin(x)		__exo_both(asin, casin, x)
#undef atan
#define atan(x)		__exo_both(atan, catan, x)
#undef acosh
#define acosh(x)	__exo_both(acosh, cacosh, x)
#undef asinh
#define asinh(x)	__exo_both(asinh, casinh, x)
#undef atanh
#define atanh(x)	__exo_both(atanh, catanh, x)
#undef cos
#define cos(x)		__exo_both(cos, ccos, x)
#undef sin
#define sin(x)		__exo_both(sin, csin, x)
#undef tan
#define tan(x)		__exo_both(tan, ctan, x)
#undef cosh
#define cosh(x)		__exo_both(cosh, ccosh, x)
#undef sinh
#define sinh(x)		__exo_both(sinh, csinh, x)
#undef tanh
#define tanh(x)		__exo_both(tanh, ctanh, x)
#undef exp
#define exp(x)		__exo_both(exp, cexp, x)
#undef log
#define log(x)		__exo_both(log, clog, x)
#undef pow
#define pow(x, y)	__exo_both(pow, cpow, x, y)
#undef sqrt
#define sqrt(x)		__exo_both(sqrt, csqrt, x)
#undef fabs
#define fabs(x)		__exo_both(fabs, cabs, x)

#undef atan2
#define atan2(y, x)	__exo_real(atan2, y, x)
#undef cbrt
#define cbrt(x)		__exo_real(cbrt, x)
#undef ceil
#define ceil(x)		__exo_real(ceil, x)
#undef copysign
#define copysign(x, y)	__exo_real(copysign, x, y)
#undef erf
#define erf(x)		__exo_real(erf, x)
#undef erfc
#define erfc(x)		__exo_real(erfc, x)
#undef exp2
#define exp2(x)		__exo_real(exp2, x)
#undef expm1
#define expm1(x)	__exo_real(expm1, x)
#undef fdim
#define fdim(x, y)	__exo_real(fdim, x, y)
#undef floor
#define floor(x)	__exo_real(floor, x)
#undef fma
#define fma(x, y, z)	__exo_real(fma, x, y, z)
#undef fmax
#define fmax(x, y)	__exo_real(fmax, x, y)
#undef fmin
#define fmin(x, y)	__exo_real(fmin, x, y)
#undef fmod
#define fmod(x, y)	__exo_real(fmod, x, y)
#undef frexp
#define frexp(x, e)	__exo_real(frexp, x, e)
#undef hypot
#define hypot(x, y)	__exo_real(hypot, x, y)
#undef ilogb
#define ilogb(x)	__exo_real(ilogb, x)
#undef ldexp
#define ldexp(x, e)	__exo_real(ldexp, x, e)
#undef lgamma
#define lgamma(x)	__exo_real(lgamma, x)
#undef llrint
#define llrint(x)	__exo_real(llrint, x)
#undef llround
#define llround(x)	__exo_real(llround, x)
#undef log10
#define log10(x)	__exo_real(log10, x)
#undef log1p
#define log1p(x)	__exo_real(log1p, x)
#undef log2
#define log2(x)		__exo_real(log2, x)
#undef logb
#define logb(x)		__exo_real(logb, x)
#undef lrint
#define lrint(x)	__exo_real(lrint, x)
#undef lround
#define lround(x)	__exo_real(lround, x)
#undef nearbyint
#define nearbyint(x)	__exo_real(nearbyint, x)
#undef nextafter
#define nextafter(x, y)	__exo_real(nextafter, x, y)
#undef nexttoward
#define nexttoward(x, y) __exo_real(nexttoward, x, y)
#undef remainder
#define remainder(x, y)	__exo_real(remainder, x, y)
#undef remquo
#define remquo(x, y, q)	__exo_real(remquo, x, y, q)
#undef rint
#define rint(x)		__exo_real(rint, x)
#undef round
#define round(x)	__exo_real(round, x)
#undef scalbn
#define scalbn(x, e)	__exo_real(scalbn, x, e)
#undef scalbln
#define scalbln(x, e)	__exo_real(scalbln, x, e)
#undef tgamma
#define tgamma(x)	__exo_real(tgamma, x)
#undef trunc
#define trunc(x)	__exo_real(trunc, x)

#undef carg
#define carg(z)		__exo_complex(arg, z)
#undef cimag
#define cimag(z)	__exo_complex(imag, z)
#undef conj
#define conj(z)		__builtin_tgmath(conjf, conj, conjl, z)
#undef cproj
#define cproj(z)	__exo_complex(proj, z)
#undef creal
#define creal(z)	__exo_complex(real, z)

#endif
