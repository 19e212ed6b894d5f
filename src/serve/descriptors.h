// The process's file descriptors: how many it may have, and room for them. Never throws.
#pragma once

#include <cstddef>

namespace http01 {

// Raises the limit as far as the system allows; returns what it is then.
std::size_t raise_descriptor_limit();

// Makes the kernel's table of descriptors as large as `count` of them need. Call it before there
// are threads: later, each growth waits for all processors.
void make_room_for_descriptors(std::size_t count);

}  // namespace http01
