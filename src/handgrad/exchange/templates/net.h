/* $title: a network written down by handgrad.
 *
$about
 */

#ifndef ${upper}_H
#define ${upper}_H

#define ${upper}_INPUTS $inputs
#define ${upper}_OUTPUTS $outputs

#ifdef __cplusplus
extern "C" {
#endif

$declarations

#ifdef __cplusplus
}
#endif

#endif
