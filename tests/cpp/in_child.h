// What a forked child may do with what its parent made: nothing but let it go.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "adasgn/error.h"

namespace adasgn::testing {

constexpr int kChildSeconds = 60;  // a child that hangs ends by a signal

// "as expected" where `work` returned true in a forked child; or a text that says how the child ended.
template <class Work>
std::string in_child(const Work& work) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(kChildSeconds);
        _exit(work() ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
        return "signal " + std::to_string(WTERMSIG(status));
    }
    return WEXITSTATUS(status) == 0 ? "as expected" : "not as expected";
}

// Whether a call in a child throws the error that names both processes.
template <class Call>
bool refused(const Call& call) {
    try {
        call();
    } catch (const Error& error) {
        const std::string text = error.what();
        return error.kind() == ErrorKind::engine && text.find(std::to_string(getppid())) != std::string::npos &&
               text.find("process " + std::to_string(getpid())) != std::string::npos;
    }
    return false;
}

}  // namespace adasgn::testing
