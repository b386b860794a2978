//! Proofs that a tree only grew (RFC 6962, section 2.1.2).

use std::collections::{BTreeMap, BTreeSet};

use crate::node::NodeHash;
use crate::tree::{TILE_HEIGHT, TILE_WIDTH, Tile, Tree};

/// What a proof needs beside the tree: full tiles, by level and index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    ranges: Vec<(u64, u64)>,
    /// The tiles.
    pub tiles: BTreeSet<(u8, u64)>,
}

/// A tile that a proof needs is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tile {index} of level {level} of the installation log is missing or short")]
pub struct Missing {
    level: u8,
    index: u64,
}

impl Plan {
    /// What proves that the tree's first `old` leaves are those of the tree of that size; nothing if it has no more than
    /// that.
    #[must_use]
    pub fn consistency(tree: &Tree, old: u64) -> Self {
        let mut ranges = Vec::new();
        if old > 0 && old < tree.size() {
            subproof(old, 0, tree.size(), true, &mut ranges);
        }
        Self::of(ranges, tree)
    }

    /// What the edge of the tree was when it had so many leaves (see [`Tree::resume`]); nothing if it has fewer.
    #[must_use]
    pub fn edge(tree: &Tree, at: u64) -> Self {
        let mut ranges = Vec::new();
        if at <= tree.size() {
            let mut start = 0;
            for level in (0..8).rev() {
                let width = 1u64 << (TILE_HEIGHT * level);
                while at - start >= width && start < at {
                    ranges.push((start, start + width));
                    start += width;
                }
            }
        }
        Self::of(ranges, tree)
    }

    fn of(ranges: Vec<(u64, u64)>, tree: &Tree) -> Self {
        let mut tiles = BTreeSet::new();
        for (start, end) in &ranges {
            perfect(*start, *end, &mut |node| {
                let (level, index, _) = node.tile();
                if tree.at_edge(level, node.first_hash()).is_none() {
                    tiles.insert((level, index));
                }
            });
        }
        Self { ranges, tiles }
    }

    /// The hashes of the proof.
    ///
    /// # Errors
    /// A tile of the plan was not given.
    pub fn prove(&self, tree: &Tree, tiles: &[Tile]) -> Result<Vec<NodeHash>, Missing> {
        let tiles: BTreeMap<(u8, u64), &Tile> = tiles
            .iter()
            .map(|tile| ((tile.level, tile.index), tile))
            .collect();
        let prove = |&(start, end): &(u64, u64)| over(start, end, tree, &tiles);
        self.ranges.iter().map(prove).collect()
    }
}

/// SUBPROOF(m, D[start:end], complete), as ranges of leaves.
fn subproof(m: u64, start: u64, end: u64, complete: bool, ranges: &mut Vec<(u64, u64)>) {
    let count = end - start;
    if m == count {
        if !complete {
            ranges.push((start, end));
        }
        return;
    }
    let k = 1 << (count - 1).ilog2();
    if m <= k {
        subproof(m, start, start + k, complete, ranges);
        ranges.push((start + k, end));
    } else {
        subproof(m - k, start + k, end, false, ranges);
        ranges.push((start, start + k));
    }
}

/// A node over a power of two of leaves, all of which are there.
#[derive(Debug, Clone, Copy)]
struct Node {
    height: u32,
    index: u64,
}

impl Node {
    /// The place, at its tile's level, of the first hash that it covers.
    fn first_hash(self) -> u64 {
        self.index << (self.height % TILE_HEIGHT)
    }

    /// Level and index of its tile, and where in it its hashes begin.
    fn tile(self) -> (u8, u64, usize) {
        let first = self.first_hash();
        let level = u8::try_from(self.height / TILE_HEIGHT).unwrap_or(u8::MAX);
        let within = usize::try_from(first % TILE_WIDTH as u64).unwrap_or_default();
        (level, first >> TILE_HEIGHT, within)
    }

    fn hash(self, tree: &Tree, tiles: &BTreeMap<(u8, u64), &Tile>) -> Result<NodeHash, Missing> {
        let (level, index, within) = self.tile();
        let missing = Missing { level, index };
        let width = 1usize << (self.height % TILE_HEIGHT);
        if let Some(tile) = tiles.get(&(level, index)) {
            let hashes = tile.hashes.get(within..within + width).ok_or(missing)?;
            return Ok(NodeHash::over(hashes));
        }
        let first = self.first_hash();
        let hashes: Option<Vec<NodeHash>> = (first..first + width as u64)
            .map(|position| tree.at_edge(level, position))
            .collect();
        Ok(NodeHash::over(&hashes.ok_or(missing)?))
    }
}

/// The nodes that a range consists of, in order: it begins at a multiple of what it covers.
fn perfect(start: u64, end: u64, each: &mut impl FnMut(Node)) {
    let count = end - start;
    if count.is_power_of_two() {
        let height = count.ilog2();
        each(Node {
            height,
            index: start >> height,
        });
    } else {
        let k = 1 << (count - 1).ilog2();
        perfect(start, start + k, each);
        perfect(start + k, end, each);
    }
}

fn over(
    start: u64,
    end: u64,
    tree: &Tree,
    tiles: &BTreeMap<(u8, u64), &Tile>,
) -> Result<NodeHash, Missing> {
    let mut nodes = Vec::new();
    perfect(start, end, &mut |node| nodes.push(node));
    let hashes: Vec<NodeHash> = nodes
        .into_iter()
        .map(|node| node.hash(tree, tiles))
        .collect::<Result<_, _>>()?;
    // Largest first, each larger than all after it together: joined from the right.
    let mut hashes = hashes.into_iter().rev();
    let last = hashes.next().unwrap_or_else(NodeHash::empty);
    Ok(hashes.fold(last, |right, left| NodeHash::above(left, right)))
}

/// Does the proof show that the tree with the second root holds the first `old` leaves of the tree with the first root?
#[must_use]
pub fn is_consistent(
    (old, old_root): (u64, NodeHash),
    (new, new_root): (u64, NodeHash),
    proof: &[NodeHash],
) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && old_root == NodeHash::empty();
    }
    // The first hash is the old root itself where that is a node of the new tree.
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (old_root, proof),
        Some((first, rest)) => (*first, rest),
        None => return false,
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut of_old, mut of_new) = (first, first);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            of_old = NodeHash::above(*hash, of_old);
            of_new = NodeHash::above(*hash, of_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            of_new = NodeHash::above(of_new, *hash);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && of_old == old_root && of_new == new_root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(n: u64) -> NodeHash {
        NodeHash::leaf(&n.to_be_bytes())
    }

    fn grown(size: u64) -> (Tree, Vec<Tile>) {
        let mut tree = Tree::default();
        let tiles = (0..size).flat_map(|n| tree.append(leaf(n))).collect();
        (tree, tiles)
    }

    fn proven(tree: &Tree, tiles: &[Tile], old: u64) -> Vec<NodeHash> {
        let plan = Plan::consistency(tree, old);
        let given: Vec<Tile> = tiles
            .iter()
            .filter(|tile| plan.tiles.contains(&(tile.level, tile.index)))
            .cloned()
            .collect();
        plan.prove(tree, &given).expect("proves")
    }

    #[test]
    fn every_small_tree_is_shown_to_grow() {
        let roots: Vec<NodeHash> = (0..80).map(|size| grown(size).0.root()).collect();
        for new in 0..80 {
            let (tree, tiles) = grown(new);
            for old in 0..=new {
                let proof = proven(&tree, &tiles, old);
                let known = (old, roots[usize::try_from(old).unwrap()]);
                let offered = (new, tree.root());
                assert!(is_consistent(known, offered, &proof), "{old} → {new}");
                let other = (old, NodeHash::leaf(b"another history"));
                assert!(!is_consistent(other, offered, &proof), "{old} → {new}");
                assert!(old == new || !is_consistent(offered, known, &proof));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_large_tree_is_shown_to_grow(old in 1u64..150_000, more in 0u64..10_000, spoilt in any::<usize>()) {
            let (tree, tiles) = grown(old + more);
            let proof = proven(&tree, &tiles, old);
            prop_assert!(proof.len() <= 2 * 18);
            let (known, offered) = ((old, grown(old).0.root()), (old + more, tree.root()));
            prop_assert!(is_consistent(known, offered, &proof));
            if !proof.is_empty() {
                let mut other = proof.clone();
                let place = spoilt % other.len();
                other[place].0[spoilt % 32] ^= 1;
                prop_assert!(!is_consistent(known, offered, &other));
                prop_assert!(!is_consistent(known, offered, &proof[1..]));
            }
        }
    }

    #[test]
    fn the_edge_of_an_earlier_size_is_found_again() {
        let (tree, tiles) = grown(70_000);
        for at in [0, 1, 255, 256, 257, 65_535, 65_536, 66_000, 70_000] {
            let plan = Plan::edge(&tree, at);
            let edge = plan.prove(&tree, &tiles).expect("proves");
            let (earlier, _) = grown(at);
            assert_eq!(edge, earlier.edge(), "{at}");
        }
    }

    #[test]
    fn without_its_tiles_nothing_is_proven() {
        let (tree, _) = grown(1_000);
        let plan = Plan::consistency(&tree, 300);
        assert!(!plan.tiles.is_empty());
        assert!(plan.prove(&tree, &[]).is_err());
    }
}
