/* y = f(x): a network written down by handgrad.
 *
 * x: (3)
 * y: (2)
 */

#ifndef NET_H
#define NET_H

#define NET_INPUTS 3
#define NET_OUTPUTS 2

#ifdef __cplusplus
extern "C" {
#endif

void net_predict(const float *x, float *y);

#ifdef __cplusplus
}
#endif

#endif
