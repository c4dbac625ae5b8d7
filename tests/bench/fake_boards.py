"""Trees of /sys, /proc and /etc as an Orin and a Thor have them, with the files that the benchmark reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ORIN_CONF = """
# comments, parameters
< PARAM TYPE=FILE NAME=CPU_ONLINE >
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=2 NAME=MODE_30W >
"""


def write(root: Path, files: Mapping[str, str]) -> None:
    """Files below root, with their folders."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def cpu(core: int, khz: int, most: int, governor: str = "schedutil") -> dict[str, str]:
    """A core's clock."""
    folder = f"sys/devices/system/cpu/cpu{core}/cpufreq"
    return {
        f"{folder}/scaling_cur_freq": f"{khz}\n",
        f"{folder}/scaling_max_freq": f"{most}\n",
        f"{folder}/cpuinfo_max_freq": "2201600\n",
        f"{folder}/scaling_governor": f"{governor}\n",
    }


def rail(monitor: str, channel: int, label: str, millivolts: int, milliamperes: int) -> dict[str, str]:
    """A channel of an INA3221."""
    return {
        f"{monitor}/in{channel}_label": f"{label}\n",
        f"{monitor}/in{channel}_input": f"{millivolts}\n",
        f"{monitor}/curr{channel}_input": f"{milliamperes}\n",
    }


def orin(root: Path) -> Path:
    """An AGX Orin in its 30 W mode: two INA3221, one rail of 3 and one of 2 W, and 5 W of the rest."""
    one, two = "sys/class/hwmon/hwmon1", "sys/class/hwmon/hwmon2"
    write(
        root,
        {
            "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
            "etc/nvpmodel.conf": ORIN_CONF,
            "var/lib/nvpmodel/status": "pmode:0002",
            **cpu(0, 1728000, 1728000),
            **cpu(1, 729600, 1728000),
            "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
            "sys/class/devfreq/17000000.gpu/max_freq": "612000000\n",
            "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov\n",
            "sys/class/devfreq/15340000.vic/cur_freq": "729600000\n",
            "sys/kernel/debug/bpmp/debug/clk/emc/rate": "3199000000\n",
            "sys/kernel/debug/bpmp/debug/clk/emc/max_rate": "3199000000\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "51250\n",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
            "sys/class/thermal/thermal_zone1/temp": "47500\n",
            "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
            "sys/class/thermal/cooling_device0/cur_state": "1\n",
            "sys/class/thermal/cooling_device1/type": "gpu-throttle-alert\n",
            "sys/class/thermal/cooling_device1/cur_state": "1\n",
            "sys/class/hwmon/hwmon3/name": "soctherm_oc\n",
            "sys/class/hwmon/hwmon3/oc1_event_cnt": "0\n",
            "sys/class/hwmon/hwmon3/oc3_event_cnt": "4\n",
            f"{one}/name": "ina3221\n",
            **rail(one, 1, "VDD_GPU_SOC", 20000, 150),
            **rail(one, 2, "VDD_CPU_CV", 20000, 100),
            **rail(one, 3, "VIN_SYS_5V0", 5000, 1000),
            f"{one}/in7_label": "sum of shunt voltages\n",
            f"{two}/name": "ina3221\n",
            **rail(two, 1, "NC", 0, 0),
        },
    )
    return root


def thor(root: Path) -> Path:
    """A Thor: an INA238 at the module's input, 40 W, an INA3221 behind it; the EMC clock is root's alone to read, and
    there is no power mode."""
    monitor = "sys/class/hwmon/hwmon2"
    write(
        root,
        {
            "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
            "etc/nv_tegra_release": "# R38 (release), REVISION: 2.0, GCID: 1, BOARD: generic, EABI: aarch64\n",
            **cpu(0, 2601000, 2601000, "performance"),
            "sys/class/devfreq/gpu-gpc-0/cur_freq": "1575000000\n",
            "sys/class/devfreq/gpu-gpc-0/max_freq": "1575000000\n",
            "sys/class/devfreq/gpu-gpc-0/governor": "performance\n",
            "sys/class/thermal/thermal_zone0/type": "tj-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "38000\n",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
            "sys/class/thermal/thermal_zone1/temp": "\n",
            "sys/class/hwmon/hwmon1/name": "ina238\n",
            "sys/class/hwmon/hwmon1/power1_label": "VIN\n",
            "sys/class/hwmon/hwmon1/power1_input": "40000000\n",
            f"{monitor}/name": "ina3221\n",
            **rail(monitor, 1, "VDD_GPU", 5000, 1200),
            **rail(monitor, 2, "VDD_CPU_SOC_MSS", 5000, 800),
        },
    )
    return root
