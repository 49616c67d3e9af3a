/* The check of UTF-8 (RFC 3629, section 4). */
#include "safetensors.h"

/* The length of the sequence that a first byte announces, and the range of its second byte; 0: no first byte. */
static size_t announced(unsigned char first, unsigned char *low, unsigned char *high) {
    *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;  /* no overlong form */
    *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF; /* no surrogate, nothing above U+10FFFF */
    return first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

bool cg_utf8_valid(const char *bytes, size_t length) {
    const unsigned char *at = (const unsigned char *)bytes;
    size_t left = length;
    while (left > 0) {
        unsigned char low, high;
        size_t needed = announced(at[0], &low, &high);
        if (needed == 0 || needed > left || (needed > 1 && (at[1] < low || at[1] > high))) {
            return false;
        }
        for (size_t i = 2; i < needed; i++) {
            if ((at[i] & 0xC0) != 0x80) {
                return false;
            }
        }
        at += needed;
        left -= needed;
    }
    return true;
}
