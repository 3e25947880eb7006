/* y = f(x): a network written down by handgrad, in C99 that needs expf and tanhf alone.
 *
 * x: (3)
 * y: (2)
 *
 * Flash: 32 bytes of weights, and some 200 bytes of code (x86-64, -Os).
 * RAM: 0 bytes, static; nothing on the heap. x and y are the caller's and may not overlap.
 */

#include <math.h>
#include <stdint.h>
#include "net.h"


static const float linear1_weight[] = {
    0.30006802f, -0.50437206f, -1.0056766f, -1.0592349f, 0.6863407f, 0.9043022f,
};
static const float linear1_bias[] = {
    0.0f, 0.0f,
};

static void matmul_2x3(const float *a, const float *b, float *y)
{
    for (int i = 0; i < 2; i++) {
        float sum = 0;
        for (int j = 0; j < 3; j++)
            sum += a[j] * b[i + j * 2];
        y[i] = sum;
    }
}

static void add_2(const float *a, const float *b, float *y)
{
    for (int i = 0; i < 2; i++)
        y[i] = a[i] + b[i];
}

static void multiply_2(const float *a, const float *b, float *y)
{
    for (int i = 0; i < 2; i++)
        y[i] = a[i] * b[i];
}

void net_predict(const float *x, float *y)
{
    /* linear1 */
    matmul_2x3(x, linear1_weight, y);
    add_2(y, linear1_bias, y);
    /* squared1 */
    multiply_2(y, y, y);
}
