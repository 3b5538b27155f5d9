"""The OpenVINO graph of a network: conversion, quantization and other changes, before an engine compiles it."""
