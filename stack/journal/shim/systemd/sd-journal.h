/*
 * Stand-in for the header of libsystemd. The Go package sdjournal finds every function with
 * dlsym at run time, so that a compiler needs no more than these types and constants; with them
 * the tag sdjournal builds where the development package of libsystemd is missing. Put the
 * directory behind the system's own (-idirafter), which then wins where it exists.
 */
#ifndef CHAOS_SD_JOURNAL_H
#define CHAOS_SD_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "sd-id128.h"

typedef struct sd_journal sd_journal;

enum {
	SD_JOURNAL_LOCAL_ONLY = 1
};

enum {
	SD_JOURNAL_NOP,
	SD_JOURNAL_APPEND,
	SD_JOURNAL_INVALIDATE
};

#endif
