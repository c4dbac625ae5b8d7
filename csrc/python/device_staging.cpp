#ifdef ADASGN_CUDA

#include "device_staging.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adasgn/checks.h"
#include "adasgn/cuda/memory.h"
#include "adasgn/process.h"
#include "arrays.h"
#include "one_caller.h"

namespace adasgn {

namespace {

// Buffers, each twice: pinned on the host and on the device; one stream, in whose order everything happens; what was
// captured from it. Calls only give work to the stream; `synchronise` waits. Those that begin and end a capture must
// come from one thread.
class Staging {
  public:
    Staging(const std::vector<std::int64_t>& sizes, int device) {
        for (const std::int64_t size : sizes) {
            expect_option("sizes (bytes of a buffer)", size, 1, std::int64_t{1} << 40);
        }
        const cuda::OnDevice current(device);
        state_.reset(new State{device, sizes});
    }

    std::uintptr_t stream() { return reinterpret_cast<std::uintptr_t>(here().stream.get()); }
    std::uintptr_t address(int buffer) { return reinterpret_cast<std::uintptr_t>(of(here().device, buffer).data()); }

    // Bytes of the host, which live as long as `self`, the Python object of this one.
    static py::array host(const py::object& self, int buffer) {
        auto& staging = self.cast<Staging&>();
        State& state = staging.here();
        unsigned char* const data = of(state.host, buffer).data();
        return py::array_t<unsigned char>({state.sizes[buffer]}, data, self);
    }

    void upload(int buffer, std::optional<std::int64_t> size) {
        on_device([&](State& state) {
            const std::size_t bytes = part(state, buffer, size);
            cuda::expect_ok(cuda::copy_to_device(of(state.device, buffer).data(), of(state.host, buffer).data(), bytes,
                                                 state.stream.get()),
                            "copy to the device");
        });
    }
    void download(int buffer, std::optional<std::int64_t> size) {
        on_device([&](State& state) {
            const std::size_t bytes = part(state, buffer, size);
            cuda::expect_ok(cuda::copy_to_host(of(state.host, buffer).data(), of(state.device, buffer).data(), bytes,
                                               state.stream.get()),
                            "copy from the device");
        });
    }
    void synchronise() {
        on_device([](State& state) { cuda::expect_ok(cuda::synchronise(state.stream.get()), "waiting for a stream"); });
    }

    void begin_capture() {
        on_device([](State& state) { cuda::expect_ok(cuda::begin_capture(state.stream.get()), "capture of a graph"); });
    }
    // The number of the graph.
    int end_capture() {
        int number = 0;
        on_device([&](State& state) {
            state.graphs.emplace_back(state.stream.get());
            number = static_cast<int>(state.graphs.size()) - 1;
        });
        return number;
    }
    // Ends a capture of which nothing came.
    void drop_capture() {
        on_device([](State& state) {
            cuda::GraphHandle* broken = nullptr;
            static_cast<void>(cuda::end_capture(state.stream.get(), broken));
            cuda::destroy_graph(broken);
        });
    }
    void launch(int graph) {
        on_device([&](State& state) { of(state.graphs, graph).launch(state.stream.get()); });
    }
    void release_graphs() {
        on_device([](State& state) { state.graphs.clear(); });
    }

  private:
    struct State {
        int on;  // the device
        std::vector<std::int64_t> sizes;
        cuda::OwnStream stream;
        OwnProcess process;
        std::vector<cuda::PinnedMemory<unsigned char>> host;
        std::vector<cuda::DeviceMemory<unsigned char>> device;
        std::vector<cuda::Graph> graphs;

        State(int chosen, const std::vector<std::int64_t>& bytes) : on(chosen), sizes(bytes) {
            for (const std::int64_t size : sizes) {
                host.emplace_back(static_cast<std::size_t>(size));
                device.emplace_back(static_cast<std::size_t>(size));
            }
        }
    };
    struct Release {  // in another process nothing is: it all belongs to the driver
        void operator()(State* state) const {
            if (state->process.here()) {
                delete state;
            }
        }
    };

    template <class T>
    static T& of(std::vector<T>& all, int index) {
        expect_option("number of a buffer or graph", index, 0, static_cast<std::int64_t>(all.size()) - 1);
        return all[index];
    }
    static std::size_t part(State& state, int buffer, std::optional<std::int64_t> size) {
        const std::int64_t whole = of(state.sizes, buffer);
        expect_option("size (bytes to copy)", size.value_or(whole), 0, whole);
        return static_cast<std::size_t>(size.value_or(whole));
    }

    State& here() {
        state_->process.expect_here();
        return *state_;
    }
    template <class Call>
    void on_device(const Call& call) {
        alone_([&] {
            const cuda::OnDevice current(state_->on);
            call(*state_);
        });
    }

    std::unique_ptr<State, Release> state_;
    OneCaller alone_{"staging"};
};

}  // namespace

void define_device_staging(py::module_& module) {
    py::class_<Staging>(module, "Staging", py::module_local())
        .def(py::init<const std::vector<std::int64_t>&, int>(), py::arg("sizes"), py::arg("device") = 0)
        .def_property_readonly("stream", &Staging::stream)
        .def("address", &Staging::address, py::arg("buffer"))
        .def("host", &Staging::host, py::arg("buffer"))
        .def("upload", &Staging::upload, py::arg("buffer"), py::arg("size") = py::none())
        .def("download", &Staging::download, py::arg("buffer"), py::arg("size") = py::none())
        .def("synchronise", &Staging::synchronise)
        .def("begin_capture", &Staging::begin_capture)
        .def("end_capture", &Staging::end_capture)
        .def("drop_capture", &Staging::drop_capture)
        .def("launch", &Staging::launch, py::arg("graph"))
        .def("release_graphs", &Staging::release_graphs);
}

}  // namespace adasgn

#endif  // ADASGN_CUDA
