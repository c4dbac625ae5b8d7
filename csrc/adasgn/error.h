// The one exception type of the core. Every message says what was expected and what came.
#pragma once

#include <stdexcept>
#include <string>

namespace adasgn {

enum class ErrorKind {
    model_file,  // missing, damaged, hostile, of another version, or tensors that do not fit their description
    clip,        // wrong shape, count or values of what is to be recognised
    engine,      // options that this machine or this build cannot meet
};

class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
    ErrorKind kind() const noexcept { return kind_; }

  private:
    ErrorKind kind_;
};

}  // namespace adasgn
