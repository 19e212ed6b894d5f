// A value, or why there is none: the one way to say "failed". The error is a sentence for a person,
// or a closed enum. Asking for the side that is not there is a programming error (std::get throws).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace http01::base {

template <class E>
struct Failure {
  E error;
};

template <class E>
Failure(E) -> Failure<E>;
Failure(const char*)->Failure<std::string>;

template <class T, class E = std::string>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  template <class F>
  Result(Failure<F> failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  const E& error() const { return std::get<1>(state_); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }

 private:
  std::variant<T, E> state_;
};

// Done, or why not. `return {};` says that it is done.
template <class E>
class [[nodiscard]] Result<void, E> : public Result<std::monostate, E> {
 public:
  Result() : Result<std::monostate, E>(std::monostate{}) {}
  template <class F>
  Result(Failure<F> failure) : Result<std::monostate, E>(std::move(failure)) {}
};

}  // namespace http01::base
