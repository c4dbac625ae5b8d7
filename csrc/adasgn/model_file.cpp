// Reads the `.adasgn` container, step by step as docs/model_file.md lists them. Nothing in the file is trusted: every
// number is checked before it is used to allocate, multiply or index.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "adasgn/constants.h"
#include "adasgn/description.h"
#include "adasgn/error.h"
#include "adasgn/json.h"
#include "adasgn/model.h"
#include "adasgn/regular_file.h"
#include "adasgn/sha256.h"

namespace adasgn {

namespace {

constexpr std::uint64_t kMaxHeader = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 30;
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kChecksumDigits = 64;
constexpr std::size_t kAlignment = 64;
const std::string kOpening = R"({"__metadata__":{"checksum":"sha256:)";

// A tensor's place in the file.
struct Entry {
    std::string name;
    bool half;
    std::vector<std::int64_t> shape;
    std::uint64_t begin;
    std::uint64_t end;

    std::uint64_t item_size() const { return half ? 2 : 4; }
};

std::uint64_t unsigned_value(const Json& value, const JsonContext& at) {
    if (!value.is_natural() && !value.is_whole(0, 0)) {  // -0 is 0
        at.fail("expected a whole number, at least 0", value);
    }
    return value.natural();
}

Entry parse_entry(const std::string& name, const Json& value, std::uint64_t data_size, const JsonContext& file) {
    const JsonContext at = file.inside("tensor '" + name + "'");
    expect_keys(value, {"dtype", "shape", "data_offsets"}, at);
    Entry entry{name, false, {}, 0, 0};
    if (value["dtype"] != "F32" && value["dtype"] != "F16") {
        at.inside("dtype").fail("expected F32 or F16", value["dtype"]);
    }
    entry.half = value["dtype"] == "F16";
    const Json& shape = value["shape"];
    if (!shape.is_array() || shape.size() > 3) {
        at.inside("shape").fail("expected a list of at most 3 numbers", shape);
    }
    std::uint64_t items = 1;
    for (const Json& extent : shape) {
        const std::uint64_t n = unsigned_value(extent, at.inside("shape"));
        if (n > kMaxFile || items * n > kMaxFile) {  // both factors are at most 2^30
            at.inside("shape").fail("expected a tensor within the file", shape);
        }
        items *= n;
        entry.shape.push_back(static_cast<std::int64_t>(n));
    }
    const Json& offsets = value["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2) {
        at.inside("data_offsets").fail("expected [begin, end]", offsets);
    }
    entry.begin = unsigned_value(offsets[0], at.inside("data_offsets"));
    entry.end = unsigned_value(offsets[1], at.inside("data_offsets"));
    if (entry.begin > entry.end || entry.end > data_size) {
        at.inside("data_offsets").fail("expected begin <= end <= " + std::to_string(data_size), offsets);
    }
    if (entry.end - entry.begin != items * entry.item_size()) {
        at.inside("data_offsets")
            .fail("expected " + std::to_string(items * entry.item_size()) + " bytes for its shape", offsets);
    }
    if (entry.begin % entry.item_size() != 0) {
        at.inside("data_offsets")
            .fail("expected to begin at a multiple of " + std::to_string(entry.item_size()), offsets);
    }
    return entry;
}

// Without overlaps, without gaps, up to the end.
void expect_tiling(const std::vector<Entry>& entries, std::uint64_t data_size, const JsonContext& file) {
    std::map<std::uint64_t, const Entry*> by_begin;
    for (const Entry& entry : entries) {
        if (entry.begin == entry.end || !by_begin.emplace(entry.begin, &entry).second) {
            file.inside("tensor '" + entry.name + "'").fail("expected bytes of its own, found none or another's");
        }
    }
    std::uint64_t at = 0;
    for (const auto& [begin, entry] : by_begin) {
        if (begin != at) {
            file.inside("tensor '" + entry->name + "'")
                .fail("expected to begin at " + std::to_string(at) + ", found " + std::to_string(begin));
        }
        at = entry->end;
    }
    if (at != data_size) {
        file.fail("expected tensors up to the end of the data at " + std::to_string(data_size) +
                  ", found them to end at " + std::to_string(at));
    }
}

float from_half(std::uint16_t half) {
    const int exponent = half >> 10 & 31;
    const int fraction = half & 1023;
    float value;
    if (exponent == 31) {
        value = fraction == 0 ? INFINITY : NAN;
    } else if (exponent == 0) {
        value = std::ldexp(static_cast<float>(fraction), -24);
    } else {
        value = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
    }
    return half >> 15 != 0 ? -value : value;
}

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool stored_as_half(const std::string& name, const Description& description) {
    const bool matrix = ends_with(name, ".weight") || ends_with(name, ".neighbours") || ends_with(name, ".itself");
    const bool routes = description.adaptive && (name.rfind("policy.", 0) == 0 || name.rfind("branches.0.", 0) == 0);
    return description.precision == "f16" && matrix && !routes;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
    std::string text = "(";
    for (const std::int64_t extent : shape) {
        text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
    }
    return text + ")";
}

Tensor read_tensor(const Entry& entry, const unsigned char* data, const JsonContext& at) {
    Tensor tensor{entry.shape, std::vector<float>((entry.end - entry.begin) / entry.item_size())};
    const unsigned char* const from = data + entry.begin;
    if (entry.half) {
        for (std::size_t i = 0; i < tensor.values.size(); ++i) {
            tensor.values[i] = from_half(static_cast<std::uint16_t>(from[2 * i] | from[2 * i + 1] << 8));
        }
    } else {
        std::memcpy(tensor.values.data(), from, entry.end - entry.begin);
    }
    for (const float value : tensor.values) {
        if (!std::isfinite(value)) {
            at.fail("expected finite weights, found " + std::to_string(value));
        }
    }
    return tensor;
}

const std::string kWhatNot = "expected a model file written by adasgn_edge, found ";

// What the first bytes of a file, if it is one of these, say of its header.
std::uint64_t header_length(const unsigned char* bytes, std::size_t size, const JsonContext& file) {
    if (size < kLengthBytes) {
        file.fail(kWhatNot + std::to_string(size) + " bytes");
    }
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
        length |= std::uint64_t{bytes[i]} << (8 * i);
    }
    if (length > kMaxHeader) {
        file.fail(kWhatNot + "a header of " + std::to_string(length) + " bytes (at most " + std::to_string(kMaxHeader) +
                  ")");
    }
    if (length < kOpening.size() + kChecksumDigits || (kLengthBytes + length) % kAlignment != 0) {
        file.fail(kWhatNot + "a header of " + std::to_string(length) + " bytes");
    }
    const std::size_t opening = std::min(size - kLengthBytes, kOpening.size());
    if (std::memcmp(bytes + kLengthBytes, kOpening.data(), opening) != 0) {
        file.fail(kWhatNot + "another kind of file");
    }
    return length;
}

// Steps 1 and 2: the header's bytes.
std::string read_header(const unsigned char* bytes, std::size_t size, const JsonContext& file) {
    const std::uint64_t length = header_length(bytes, size, file);
    if (length > size - kLengthBytes) {
        file.fail("expected a header of " + std::to_string(length) + " bytes, found the file to end after " +
                  std::to_string(size - kLengthBytes) + " of them: it is truncated");
    }
    std::string header(reinterpret_cast<const char*>(bytes) + kLengthBytes, length);
    const std::size_t after = kOpening.size() + kChecksumDigits;
    if (header.compare(after, 2, "\",") != 0 ||
        header.find_first_not_of("0123456789abcdef", kOpening.size()) != after) {
        file.fail(kWhatNot + "another kind of file");
    }
    return header;
}

void expect_checksum(const unsigned char* bytes, std::size_t size, const std::string& header, const JsonContext& file) {
    const std::size_t digits = kLengthBytes + kOpening.size();
    Sha256 sum;
    sum.update(bytes, digits);
    sum.update(bytes + digits + kChecksumDigits, size - digits - kChecksumDigits);
    const std::string expected = header.substr(kOpening.size(), kChecksumDigits);
    const std::string found = sum.hex();
    if (found != expected) {
        file.inside("checksum").fail("expected " + expected + ", found " + found + ": the file is damaged");
    }
}

}  // namespace

Model parse_model(const void* data, std::size_t size, const std::string& name) {
    const auto* const bytes = static_cast<const unsigned char*>(data);
    const JsonContext file(name);
    const std::string header_text = read_header(bytes, size, file);
    const Json header = parse_json(header_text, file.inside("header"));

    const Json& metadata = header["__metadata__"];
    const JsonContext at = file.inside("metadata");
    expect_keys(metadata, {"checksum", "format", "version", "model"}, at);
    if (metadata["format"] != "adasgn_edge.model") {
        at.inside("format").fail("expected adasgn_edge.model", metadata["format"]);
    }
    const Json& written = metadata["version"];
    const int version = written == "1" ? 1 : written == "2" ? 2 : 3;
    if (version == 3 && written != "3") {
        at.inside("version").fail("expected 1 to 3", written);
    }

    const std::uint64_t data_size = size - kLengthBytes - header_text.size();
    const unsigned char* const tensor_bytes = bytes + kLengthBytes + header_text.size();
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < header.size(); ++i) {
        if (header.key(i) != "__metadata__") {
            entries.push_back(parse_entry(header.key(i), header[i], data_size, file));
        }
    }
    expect_tiling(entries, data_size, file);
    expect_checksum(bytes, size, header_text, file);

    Model model;
    model.name = name;
    if (!metadata["model"].is_string()) {
        at.inside("model").fail("expected a JSON object in a string", metadata["model"]);
    }
    const JsonContext described = file.inside("description");
    const std::string& text = metadata["model"].text();
    model.description = parse_description(parse_json(text, described), version, described);
    model.description.json = text;

    std::map<std::string, std::vector<std::int64_t>> missing = expected_tensors(model.description);
    for (const Entry& entry : entries) {
        const JsonContext tensor = file.inside("tensor '" + entry.name + "'");
        const auto expected = missing.find(entry.name);
        if (expected == missing.end()) {
            tensor.fail("expected no tensor of this name in a model of this description");
        }
        if (entry.shape != expected->second) {
            tensor.fail("expected shape " + shape_text(expected->second) + ", found " + shape_text(entry.shape));
        }
        if (entry.half != stored_as_half(entry.name, model.description)) {
            tensor.fail(std::string("expected dtype ") + (entry.half ? "F32, found F16" : "F16, found F32"));
        }
        missing.erase(expected);
    }
    if (!missing.empty()) {
        file.fail("expected a tensor '" + missing.begin()->first + "', found none");
    }
    for (const Entry& entry : entries) {
        model.tensors[entry.name] = read_tensor(entry, tensor_bytes, file.inside("tensor '" + entry.name + "'"));
    }
    return model;
}

Model read_model(const std::string& path) {
    const JsonContext context(path);
    RegularFile file(path);
    if (file.size() > kMaxFile) {
        context.fail("expected a model file of at most " + std::to_string(kMaxFile) + " bytes, found " +
                     std::to_string(file.size()));
    }
    std::vector<unsigned char> bytes(std::min<std::uint64_t>(file.size(), kLengthBytes + kOpening.size()));
    file.read(bytes.data(), bytes.size());
    header_length(bytes.data(), bytes.size(), context);  // before more is read than this
    const std::size_t known = bytes.size();
    bytes.resize(static_cast<std::size_t>(file.size()));
    file.read(bytes.data() + known, bytes.size() - known);
    return parse_model(bytes.data(), bytes.size(), path);
}

}  // namespace adasgn
