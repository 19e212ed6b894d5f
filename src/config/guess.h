// What is said of a key or table that the configuration does not know: a guess at what was meant,
// or all that there is. Pure.
#pragma once

#include <string>
#include <vector>

namespace http01 {

// The tables of the configuration, in order, without the one below another.
std::vector<std::string> config_tables();

// `table`: where the key stands, "" for before all tables.
std::string unknown_key(const std::string& table, const std::string& name);
std::string unknown_table(const std::string& name);

}  // namespace http01
