//! The client's state in flash, safe from a power cut: `sequential-storage` appends a checksummed
//! item for each save, and takes the newest one that is whole.

use headcount::client::IMAGE_LEN;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};

use crate::board::{Flash, FlashError};

/// The one item that is kept. Others, such as your settings, get keys of their own.
const CLIENT_STATE: u8 = 0;

/// Room for an item with its key, in whole words.
const BUFFER: usize = (1 + IMAGE_LEN).next_multiple_of(32);

pub type Error = sequential_storage::Error<FlashError>;

/// Where the client's image is kept.
pub struct Storage {
    map: MapStorage<u8, Flash, Cache<Uncached, Uncached, Uncached, u8>>,
}

impl Storage {
    /// In this flash, all of it.
    pub fn new(flash: Flash) -> Self {
        let config = MapConfig::new(0..Flash::LEN as u32);
        Self { map: MapStorage::new(flash, config, Cache::new_uncached()) }
    }

    /// The image that was saved last.
    pub async fn load(&mut self) -> Result<Option<[u8; IMAGE_LEN]>, Error> {
        self.map.fetch_item(&mut [0; BUFFER], &CLIENT_STATE).await
    }

    /// Returns when the image is safe.
    pub async fn save(&mut self, image: &[u8; IMAGE_LEN]) -> Result<(), Error> {
        self.map.store_item(&mut [0; BUFFER], &CLIENT_STATE, image).await
    }
}
