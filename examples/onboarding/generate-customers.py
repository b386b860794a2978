#!/usr/bin/env python3
"""Writes customers.csv: 200 made-up customers, the same ones every time. Every tenth is on the enterprise plan."""
import csv

FIRST = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Tony", "Frances", "John",
         "Zoë", "José", "Søren", "Łukasz", "Anaïs", "Noor", "Yuki", "Amara", "Ravi", "Chidi"]
LAST = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Hamilton", "Hoare", "Allen", "Backus"]
PLAIN = str.maketrans("ëéøŁï", "eeoLi")

with open("customers.csv", "w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["email", "name", "plan"])
    for number in range(200):
        first, last = FIRST[number % len(FIRST)], LAST[(number // len(FIRST)) % len(LAST)]
        plan = "enterprise" if number % 10 == 7 else ("pro" if number % 3 == 0 else "starter")
        address = f"{first}.{last}@example.com".translate(PLAIN).lower()
        rows.writerow([address, f"{first} {last}", plan])
