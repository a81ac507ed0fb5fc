"""Wind by irradiance, humidity, temperature and the sun's zenith angle: NSRDB files, and typical years (TMY3) as their stand-in."""

import csv
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from incite_lab.models.data import Arrays, NoData

INPUTS = ("GHI", "DHI", "DNI", "Relative Humidity", "Temperature", "Solar Zenith Angle")
TARGETS = ("Wind Speed", "Wind Direction")
IN_TMY3 = {
    "GHI": "GHI (W/m^2)",
    "DHI": "DHI (W/m^2)",
    "DNI": "DNI (W/m^2)",
    "Relative Humidity": "RHum (%)",
    "Temperature": "Dry-bulb (C)",
    "Wind Speed": "Wspd (m/s)",
    "Wind Direction": "Wdir (degrees)",
}
MISSING = -9900
STATIONS = ("703165TY.csv", "723170TYA.CSV")
TEST = 0.1  # share of the hours, as in the paper's script
SEED = 1

Zenith = Callable[[np.ndarray, float, float], np.ndarray]  # of UTC times, latitude, longitude, in degrees


def fetch() -> Arrays:
    """The stations' years that the package pvlib holds."""
    if importlib.util.find_spec("pvlib") is None:
        print("nsrdb: installing pvlib, which computes the sun's position, into this Python", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pvlib"]
        if subprocess.run(command).returncode != 0:
            raise NoData("pip could not install pvlib")
        importlib.invalidate_caches()
    import pvlib

    folder = Path(pvlib.__file__).parent / "data"
    years = []
    for name in STATIONS:
        with (folder / name).open(newline="") as file:
            years.append(read_tmy3(file, zenith))
    return split(np.concatenate(years))


def zenith(times: np.ndarray, latitude: float, longitude: float) -> np.ndarray:
    import pandas
    from pvlib import solarposition

    return solarposition.get_solarposition(pandas.DatetimeIndex(times, tz="UTC"), latitude, longitude)["zenith"].to_numpy()


def read_tmy3(lines: Iterable[str], zenith: Zenith) -> np.ndarray:
    """Hours that miss nothing: [N, inputs and targets]. The angle is the one at half past, since a row is of the hour before it."""
    reader = csv.reader(lines)
    station = next(reader)
    offset, latitude, longitude = (float(field) for field in station[3:6])
    header = next(reader)
    rows = [dict(zip(header, row, strict=False)) for row in reader]
    times = np.array([hour_end(row["Date (MM/DD/YYYY)"], row["Time (HH:MM)"]) for row in rows])
    middle = times - np.timedelta64(30, "m") - np.timedelta64(round(60 * offset), "m")
    columns = {name: np.array([float(row[field]) for row in rows]) for name, field in IN_TMY3.items()}
    columns["Solar Zenith Angle"] = zenith(middle, latitude, longitude)
    table = np.stack([columns[name] for name in (*INPUTS, *TARGETS)], 1)
    return table[(table > MISSING).all(1)]


def hour_end(date: str, time: str) -> np.datetime64:
    """Midnight is 24:00 of the day that ends."""
    month, day, year = date.split("/")
    return np.datetime64(f"{year}-{month}-{day}T00:00") + np.timedelta64(int(time[:2]), "h")


def read_nsrdb(file: Path) -> Arrays:
    """A file as NSRDB's viewer gives it, in which lines on the station come before the columns' names."""
    with file.open(newline="") as lines:
        rows = list(csv.reader(lines))
    names = next((i for i, row in enumerate(rows) if {*INPUTS, *TARGETS} <= {*row}), None)
    if names is None:
        raise NoData(f"{file}: no line names the columns {', '.join((*INPUTS, *TARGETS))}")
    places = [rows[names].index(name) for name in (*INPUTS, *TARGETS)]
    return split(np.array([[float(row[place]) for place in places] for row in rows[names + 1 :] if row]))


def split(table: np.ndarray) -> Arrays:
    """Hours drawn for training and for the test, each column scaled to mean 0 and deviation 1 over the former."""
    table = table[np.random.default_rng(SEED).permutation(len(table))]
    test = round(TEST * len(table))
    train = table[test:]
    scaled = ((table - train.mean(0)) / train.std(0)).astype(np.float32)
    x, y = scaled[:, : len(INPUTS)], scaled[:, len(INPUTS) :]
    return {"x_train": x[test:], "y_train": y[test:], "x_test": x[:test], "y_test": y[:test]}
