// Enums whose enumerators count up from 0, without numbers of their own: how many there are, all of
// them, and arrays and tables with one entry for each. The number is read from the compiler, so an
// enumerator that is appended enlarges every array, and a table without a row for it does not
// compile. Never throws.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace http01::base {

// Whether an enumerator has this value. GCC and Clang print its name, or a cast such as
// "(Color)7" where there is none.
template <auto kValue>
consteval bool is_enumerator() {
  constexpr std::string_view kSignature = __PRETTY_FUNCTION__;
  constexpr std::string_view kBefore = "kValue = ";
  return kSignature[kSignature.rfind(kBefore) + kBefore.size()] != '(';
}

template <class E, std::size_t kFrom = 0>
consteval std::size_t count_enumerators() {
  if constexpr (is_enumerator<static_cast<E>(kFrom)>()) {
    return count_enumerators<E, kFrom + 1>();
  } else {
    return kFrom;
  }
}

// Of an enum with numbers of its own: how many there are from kBegin up to, but without, kEnd.
template <class E, std::size_t kBegin, std::size_t kEnd>
consteval std::size_t count_between() {
  if constexpr (kEnd - kBegin == 1) {
    return is_enumerator<static_cast<E>(kBegin)>() ? 1 : 0;
  } else {
    constexpr std::size_t kMiddle = kBegin + (kEnd - kBegin) / 2;
    return count_between<E, kBegin, kMiddle>() + count_between<E, kMiddle, kEnd>();
  }
}

template <class E>
inline constexpr std::size_t kCountOf = count_enumerators<E>();

template <class E>
inline constexpr auto kAllOf = []<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
  return std::array{static_cast<E>(kIndex)...};
}
(std::make_index_sequence<kCountOf<E>>());

// Whether E is such an enum: it has enumerators, and none behind a gap.
template <class E>
inline constexpr bool kCountsUp = kCountOf<E> != 0 &&
                                  count_between<E, kCountOf<E>, kCountOf<E> + 64>() == 0;

// A value for each enumerator. An aggregate of the size of its values: no padding is added. Like an
// array, it is zero only where it is initialized: `EnumArray<E, int> counts{}`.
template <class E, class T>
struct EnumArray {
  static_assert(kCountsUp<E>);

  std::array<T, kCountOf<E>> values;

  constexpr T& operator[](E e) { return values[static_cast<std::size_t>(e)]; }
  constexpr const T& operator[](E e) const { return values[static_cast<std::size_t>(e)]; }
  constexpr auto begin() { return values.begin(); }
  constexpr auto begin() const { return values.begin(); }
  constexpr auto end() { return values.end(); }
  constexpr auto end() const { return values.end(); }
};

void every_enumerator_needs_a_row_in_its_order();  // never defined: names the compile error

// A row for each enumerator, in their order; `id` of a row is its enumerator.
template <class E, class Row>
class EnumTable {
  static_assert(kCountsUp<E>);

 public:
  consteval explicit EnumTable(const std::array<Row, kCountOf<E>>& rows) : rows_(rows) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].id != static_cast<E>(i)) every_enumerator_needs_a_row_in_its_order();
    }
  }

  constexpr const Row& operator[](E e) const { return rows_[static_cast<std::size_t>(e)]; }
  constexpr auto begin() const { return rows_.begin(); }
  constexpr auto end() const { return rows_.end(); }

 private:
  std::array<Row, kCountOf<E>> rows_;
};

// The table of an enum that has words and nothing else.
template <class E>
struct Word {
  E id;
  std::string_view word;
};

template <class E>
using EnumWords = EnumTable<E, Word<E>>;

}  // namespace http01::base
