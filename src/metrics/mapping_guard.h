// Mapped files that others may cut short: touching a page that the file no longer has is SIGBUS,
// which ends a process. A guarded mapping then becomes private memory of zeros in its place, and
// the access goes on. One thread guards and releases; the signal may come to any. Never throws.
#pragma once

#include <cstddef>

namespace http01 {

// Until release_mapping(), which comes before munmap(). False: there are too many, it is unguarded.
bool guard_mapping(void* begin, std::size_t size);
void release_mapping(const void* begin);

// It is private memory now.
bool mapping_lost(const void* begin);

}  // namespace http01
