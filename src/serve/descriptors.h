// The process's file descriptors: how many it may have, and room for them. Never throws.
#pragma once

#include <cstddef>

namespace http01 {

// As many as the system lets the process have; returns how many those are.
std::size_t raise_descriptor_limit();

// Makes the kernel's table of descriptors as large as `count` of them need. Before there are
// threads.
void make_room_for_descriptors(std::size_t count);

}  // namespace http01
