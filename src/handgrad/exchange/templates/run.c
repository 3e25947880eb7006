/* Reads examples from the standard input and writes their outputs, as the floats that they are in memory. */
#include <stdio.h>

$declarations

int main(void)
{
    static float x[$inputs], y[$outputs];
    while (fread(x, sizeof x, 1, stdin)) {
$calls
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
