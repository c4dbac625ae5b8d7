from pathlib import Path

from setuptools import setup

PACKAGE = "adasgn_edge_ros"
SHARE = f"share/{PACKAGE}"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (SHARE, ["package.xml"]),
        *((f"{SHARE}/{folder}", sorted(map(str, Path(folder).glob("*.*")))) for folder in ("launch", "config")),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The authors of adasgn_edge",
    maintainer_email="maintainers@adasgn-edge.invalid",
    description="Gestures and actions in streams of skeletons: a lifecycle node around adasgn_edge's recogniser",
    license="Apache-2.0",
    entry_points={"console_scripts": [f"recogniser_node = {PACKAGE}.recogniser_node:main"]},
)
