/* The larger number; NaN where one is NaN. */
static float max_of(float a, float b)
{
    return a > b || a != a ? a : b;
}

/* The smaller number; NaN where one is NaN. */
static float min_of(float a, float b)
{
    return a < b || a != a ? a : b;
}

/* The square root by Newton's steps from half the exponent, to 1e-7 of it. */
static float sqrt_of(float x)
{
    union { float number; uint32_t bits; } y = { x };
    if (!(x > 0 && x < INFINITY))
        return x < 0 ? NAN : x;
    y.bits = (y.bits >> 1) + 0x1fbd1df5u;
    for (int i = 0; i < 4; i++)
        y.number = 0.5f * (y.number + x / y.number);
    return y.number;
}

/* The logarithm: of the power of 2, and by the series of artanh of what is left, to 2e-7 of it. */
static float log_of(float x)
{
    union { float number; uint32_t bits; } m = { x };
    float power = -127, s;
    if (!(x > 0 && x < INFINITY))
        return x == 0 ? -INFINITY : x < 0 ? NAN : x;
    if (m.bits < 0x00800000u) {
        m.number *= 8388608.0f;
        power -= 23;
    }
    power += (float)(m.bits >> 23);
    m.bits = (m.bits & 0x007fffffu) | 0x3f800000u;
    if (m.number > 1.4142135f) {
        m.number *= 0.5f;
        power += 1;
    }
    s = (m.number - 1) / (m.number + 1);
    x = s * s;
    return power * 0.69314718f + 2 * s * (1 + x * (1 / 3.0f + x * (0.2f + x * (1 / 7.0f + x / 9))));
}

/* log(1 + x), exact for small x (Higham, Accuracy and Stability, 1.14.1), to 3e-7 of it. */
static float log1p_of(float x)
{
    float u = 1 + x;
    return u == 1 || u == INFINITY ? x : log_of(u) * (x / (u - 1));
}

/* exp(x) - 1, exact for small x (Higham, Accuracy and Stability, 1.14.1), to 3e-7 of it. */
static float expm1_of(float x)
{
    float u = expf(x);
    return u == 1 ? x : x > 1 || x < -1 ? u - 1 : (u - 1) * (x / log_of(u));
}

/* The arctangent by a polynomial below tan(pi / 8) (Moshier, Cephes, atanf), to 2e-7 of it. */
static float atan_of(float x)
{
    float a = x < 0 ? -x : x, start = 0, z;
    if (a > 2.41421356f) {
        start = 1.57079633f;
        a = -1 / a;
    } else if (a > 0.41421356f) {
        start = 0.78539816f;
        a = (a - 1) / (a + 1);
    }
    z = a * a;
    a = start + a + a * z * (((8.05374449e-2f * z - 1.38776856e-1f) * z + 1.99777106e-1f) * z - 3.33329491e-1f);
    return x < 0 ? -a : a;
}

/* The error function by a series of terms of one sign (Abramowitz and Stegun 7.1.6), to 5e-7. */
static float erf_of(float x)
{
    float term = x, sum = x;
    if (x > 4 || x < -4)
        return x > 0 ? 1.0f : -1.0f;
    for (int n = 1; term * term > 1e-16f * sum * sum; n++) {
        term *= 2 * x * x / (float)(2 * n + 1);
        sum += term;
    }
    return 1.12837917f * expf(-x * x) * sum;
}

/* a to the power of b: by products for a whole b, else by logarithms, to some 1e-6 of it. */
static float pow_of(float a, float b)
{
    float n = b < 0 ? -b : b, y = 1;
    if (b == 0.5f)
        return sqrt_of(a);
    if (!(n < 1e6f) || (float)(int)n != n)
        return a == 0 ? (b > 0 ? 0 : INFINITY) : expf(b * log_of(a));
    for (int left = (int)n; left > 0; left >>= 1, a *= a)
        y *= left & 1 ? a : 1;
    return b < 0 ? 1 / y : y;
}
