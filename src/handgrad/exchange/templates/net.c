/* $title: a network written down by handgrad, in C99 that needs expf and tanhf alone.
 *
$about
 *
 * Flash: $flash bytes of weights, and some $code bytes of code (x86-64, -Os).
 * RAM: $ram bytes, static; nothing on the heap. x and y are the caller's and may not overlap.
 */

#include <math.h>
#include <stdint.h>
$include
$memory
$weights

$functions
