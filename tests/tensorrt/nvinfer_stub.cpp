// Stands for a libnvinfer of the major version MAJOR: the one function by which the plugin's library asks for it.
extern "C" __attribute__((visibility("default"))) int getInferLibMajorVersion() noexcept;

int getInferLibMajorVersion() noexcept {
    return MAJOR;
}
