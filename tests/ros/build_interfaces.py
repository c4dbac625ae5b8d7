"""Builds the interfaces that no wheel brings (tests/ros/interfaces.py) for rclpy, into the environment that runs this.

    python -m tests.ros.build_interfaces BUILD_FOLDER        (part of `make test-ros`; needs CMake and a C++ compiler)

The generators of ROS's messages are wheels too. Only what rclpy with Fast DDS needs is generated. The wheels know where
Python was on the machine that made them; that is set right first, in the environment's own copies.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.ros.interfaces import DEFINITIONS

PREFIX = Path(sys.prefix)
PATHS = {
    r"/opt/python/[^/;\"]+/include/python3\.\d+": sysconfig.get_paths()["include"],
    r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages": sysconfig.get_paths()["purelib"],
}
GENERATORS = (
    "rosidl_cmake", "rosidl_generator_type_description", "rosidl_generator_c", "rosidl_generator_cpp",
    "rosidl_typesupport_fastrtps_cpp", "rosidl_typesupport_fastrtps_c", "rosidl_typesupport_c", "rosidl_generator_py",
)  # fmt: skip
DEPENDENCIES = ("std_msgs", "geometry_msgs")
MANIFEST = """<?xml version="1.0"?>
<package format="3">
  <name>{name}</name>
  <version>0.0.0</version>
  <description>The interfaces that the tests need.</description>
  <maintainer email="maintainers@adasgn-edge.invalid">The authors of adasgn_edge</maintainer>
  <license>Apache-2.0</license>
  <member_of_group>rosidl_interface_packages</member_of_group>
</package>
"""


def write_package(folder: Path, name: str) -> None:
    """CMakeLists.txt, package.xml and the messages of one package."""
    files = []
    (folder / "msg").mkdir(parents=True, exist_ok=True)
    for full_name, text in DEFINITIONS.items():
        package, _, kind = full_name.split("/")
        if package == name:
            (folder / "msg" / f"{kind}.msg").write_text(f"{text}\n")
            files.append(f"msg/{kind}.msg")
    lines = ["cmake_minimum_required(VERSION 3.16)", f"project({name})"]
    lines += [f"find_package({found} REQUIRED)" for found in ("ament_cmake", *GENERATORS, *DEPENDENCIES)]
    lines += [f"rosidl_generate_interfaces({name} {' '.join(files)} DEPENDENCIES {' '.join(DEPENDENCIES)})"]
    lines += ["ament_package()", ""]
    (folder / "CMakeLists.txt").write_text("\n".join(lines))
    (folder / "package.xml").write_text(MANIFEST.format(name=name))


def set_paths_right() -> None:
    """Where Python is, in what the wheels' packages export to CMake."""
    for path in (PREFIX / "share").glob("*/cmake/*.cmake"):
        text = path.read_text()
        if "/opt/python/" in text:
            for pattern, place in PATHS.items():
                text = re.sub(pattern, lambda _, place=place: place, text)
            path.write_text(text)


def main() -> None:
    """Build and install every package of the definitions."""
    set_paths_right()
    environment = os.environ | {
        "PATH": os.pathsep.join([str(PREFIX / "bin"), os.environ["PATH"]]),
        "CMAKE_PREFIX_PATH": str(PREFIX),
        "AMENT_PREFIX_PATH": str(PREFIX),
    }
    for name in sorted({full_name.split("/")[0] for full_name in DEFINITIONS}):
        folder = Path(sys.argv[1]) / name
        write_package(folder, name)
        configure = [
            "cmake", "-S", str(folder), "-B", str(folder / "build"), "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Debug",
            f"-DPython3_EXECUTABLE={sys.executable}", f"-DCMAKE_INSTALL_PREFIX={PREFIX}",
            f"-DCMAKE_INSTALL_RPATH={PREFIX / 'lib'}", "-DSTATIC_ROSIDL_TYPESUPPORT_C=rosidl_typesupport_fastrtps_c",
        ]  # fmt: skip
        build = ["cmake", "--build", str(folder / "build"), "--parallel", "2"]
        for command in (configure, build, ["cmake", "--install", str(folder / "build")]):
            result = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            if result.returncode:
                sys.exit(f"{result.stdout}\nbuild_interfaces: {' '.join(command)}: status {result.returncode}")
        print(f"build_interfaces: {name}", flush=True)


if __name__ == "__main__":
    main()
