//! Enums that numbers are split by: each value stands in one place, with its label in statistics.

/// Declares such an enum, with `ALL` of its values and the `label` of each. A value's number is its place in `ALL`.
macro_rules! labelled {
    ($(#[$about:meta])* pub enum $name:ident { $($(#[$doc:meta])* $value:ident = $label:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$doc])* $value,)+
        }

        impl $name {
            /// Every one, in the order of the counters.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$value),+];

            /// The label in statistics.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$value => $label,)+
                }
            }
        }
    };
}

pub(super) use labelled;
