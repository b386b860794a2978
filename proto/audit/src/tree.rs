//! The tree as it grows.
//!
//! Its nodes are kept as tiles: at level 0 the hashes of 256 leaves, at level 1 those of 256 full tiles of level 0, and so
//! on. A full tile never changes. What is left over at each level, fewer than 256 hashes, is the edge: it is all that
//! growing needs.

use crate::node::NodeHash;

/// Hashes of a full tile.
pub const TILE_WIDTH: usize = 256;
/// Levels of binary nodes from the hashes of one tile to the hash of all of them.
pub(super) const TILE_HEIGHT: u32 = TILE_WIDTH.ilog2();

/// A full tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// 0 for hashes of leaves.
    pub level: u8,
    /// Its place among the tiles of the level.
    pub index: u64,
    /// As many as [`TILE_WIDTH`].
    pub hashes: Vec<NodeHash>,
}

/// An edge that does not belong to a tree of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the edge of the installation log has {found} hashes, and a log of {size} leaves {expected}"
)]
pub struct WrongEdge {
    size: u64,
    expected: usize,
    found: usize,
}

/// A tree, by its size and its edge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    edges: Vec<Vec<NodeHash>>,
}

impl Tree {
    /// The tree of this size, with the hashes of its edge, from the highest level down.
    ///
    /// # Errors
    /// There are too few or too many of them.
    pub fn resume(size: u64, edge: &[NodeHash]) -> Result<Self, WrongEdge> {
        let digits: Vec<usize> = digits(size).collect();
        let expected = digits.iter().sum();
        if edge.len() != expected {
            return Err(WrongEdge {
                size,
                expected,
                found: edge.len(),
            });
        }
        let mut rest = edge;
        let mut edges: Vec<Vec<NodeHash>> = Vec::new();
        for digit in digits.iter().rev() {
            let (level, below) = rest.split_at(*digit);
            edges.push(level.to_vec());
            rest = below;
        }
        edges.reverse();
        Ok(Self { size, edges })
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its edge, from the highest level down.
    #[must_use]
    pub fn edge(&self) -> Vec<NodeHash> {
        self.edges.iter().rev().flatten().copied().collect()
    }

    /// Adds a leaf; gives back the tiles that it fills.
    pub fn append(&mut self, leaf: NodeHash) -> Vec<Tile> {
        let mut filled = Vec::new();
        let mut carried = leaf;
        for level in 0u8.. {
            if self.edges.len() <= usize::from(level) {
                self.edges.push(Vec::new());
            }
            let edge = &mut self.edges[usize::from(level)];
            edge.push(carried);
            if edge.len() < TILE_WIDTH {
                break;
            }
            let hashes = std::mem::take(edge);
            carried = NodeHash::over(&hashes);
            let index = self.size >> (TILE_HEIGHT * (u32::from(level) + 1));
            filled.push(Tile {
                level,
                index,
                hashes,
            });
        }
        self.size += 1;
        filled
    }

    /// The hash of all its leaves.
    #[must_use]
    pub fn root(&self) -> NodeHash {
        let mut below: Option<NodeHash> = None;
        for edge in &self.edges {
            let nodes: Vec<NodeHash> = edge.iter().copied().chain(below).collect();
            if !nodes.is_empty() {
                below = Some(NodeHash::over(&nodes));
            }
        }
        below.unwrap_or_else(NodeHash::empty)
    }

    /// The hash at this place of a level's edge, if that is where it is.
    pub(super) fn at_edge(&self, level: u8, position: u64) -> Option<NodeHash> {
        let edge = self.edges.get(usize::from(level))?;
        let first = self.size >> (TILE_HEIGHT * u32::from(level)) & !(TILE_WIDTH as u64 - 1);
        let place = usize::try_from(position.checked_sub(first)?).ok()?;
        edge.get(place).copied()
    }
}

/// How many hashes the edge has at each level, from the leaves up.
fn digits(size: u64) -> impl Iterator<Item = usize> {
    size.to_le_bytes()
        .into_iter()
        .take(
            (size
                .checked_ilog2()
                .map_or(0, |bits| bits / TILE_HEIGHT + 1)) as usize,
        )
        .map(usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> NodeHash {
        NodeHash::leaf(&n.to_be_bytes())
    }

    #[test]
    fn the_root_is_that_of_all_leaves_at_every_size() {
        let (mut tree, mut leaves) = (Tree::default(), Vec::new());
        assert_eq!(tree.root(), NodeHash::empty());
        for n in 0..70_000 {
            let filled = tree.append(leaf(n));
            leaves.push(leaf(n));
            assert!(filled.iter().all(|tile| tile.hashes.len() == TILE_WIDTH));
            // Around every power of two and every edge of a tile.
            if n < 300 || (n + 2) % 256 < 4 || (n + 2).next_power_of_two() < n + 5 {
                if n > 1_000 && n % 4_096 > 2 && n < 65_000 {
                    continue;
                }
                assert_eq!(tree.root(), NodeHash::over(&leaves), "{}", n + 1);
                let again = Tree::resume(tree.size(), &tree.edge()).unwrap();
                assert_eq!(again.root(), tree.root());
                let mut one_more = (again, tree.clone());
                assert_eq!(
                    one_more.0.append(leaf(n + 1)),
                    one_more.1.append(leaf(n + 1))
                );
                assert_eq!(one_more.0.root(), one_more.1.root());
            }
        }
    }

    /// The leaves and roots that Certificate Transparency's own tests use.
    #[test]
    fn roots_are_those_of_the_standard() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            (
                1,
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            ),
            (
                8,
                "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
            ),
        ];
        for (size, root) in roots {
            let mut tree = Tree::default();
            for leaf in &leaves[..size] {
                tree.append(NodeHash::leaf(&hex::decode(leaf).unwrap()));
            }
            assert_eq!(hex::encode(tree.root().0), root);
        }
    }

    #[test]
    fn tiles_are_numbered_by_level() {
        let mut tree = Tree::default();
        let filled: Vec<_> = (0..=65_536u64)
            .flat_map(|n| tree.append(leaf(n)))
            .map(|tile| (tile.level, tile.index))
            .collect();
        assert_eq!(filled.len(), 257);
        assert_eq!(filled[..2], [(0, 0), (0, 1)]);
        assert_eq!(filled[255..], [(0, 255), (1, 0)]);
    }

    #[test]
    fn an_edge_of_another_size_is_refused() {
        let mut tree = Tree::default();
        (0..300).for_each(|n| drop(tree.append(leaf(n))));
        assert!(Tree::resume(301, &tree.edge()).is_err());
        assert!(Tree::resume(300, &tree.edge()).is_ok());
        assert!(Tree::resume(0, &[]).is_ok());
    }
}
