/* Stand-in for the header of libsystemd, see sd-journal.h. */
#ifndef CHAOS_SD_ID128_H
#define CHAOS_SD_ID128_H

#include <stdint.h>

typedef union sd_id128 {
	uint8_t bytes[16];
	uint64_t qwords[2];
} sd_id128_t;

#define SD_ID128_STRING_MAX 33U

#endif
